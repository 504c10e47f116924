"""Tensors of a module in a group: gathered once, and again when one of them is another."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from streamsep.streaming.held import Held


class Pair(nn.Module):
    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3))
        self.register_buffer("table", torch.zeros(4), persistent=False)
        self.asked = 0
        self.weights = Held(self, self._gather)

    def _gather(self) -> tuple[Tensor, ...]:
        self.asked += 1
        return self.inner[0].weight, self.table


def _replace_parameter(pair: Pair) -> None:
    pair.inner[0].weight = nn.Parameter(torch.ones(3, 2))


def _replace_buffer(pair: Pair) -> None:
    pair.table = torch.ones(4)


def _replace_module(pair: Pair) -> None:
    pair.inner[0] = nn.Linear(2, 3)


def _assign(pair: Pair) -> None:
    pair.load_state_dict({name: torch.ones_like(x) for name, x in pair.state_dict().items()}, assign=True)


def _move(pair: Pair) -> None:
    pair.double()


@pytest.mark.parametrize("change", [_replace_parameter, _replace_buffer, _replace_module, _assign, _move])
def test_a_tensor_in_another_s_place_is_found(change: Callable[[Pair], None]) -> None:
    pair = Pair()
    first = pair.weights()
    assert pair.weights() is first and pair.asked == 1
    change(pair)
    for _ in range(2):
        weight, table = pair.weights()
        assert weight is pair.inner[0].weight and table is pair.table
    assert weight.dtype == pair.inner[0].bias.dtype
    assert pair.asked == 2


def test_a_copy_has_its_own() -> None:
    pair = Pair()
    pair.weights()
    other = copy.deepcopy(pair)
    weight, table = other.weights()
    assert weight is other.inner[0].weight and table is other.table and weight is not pair.weights()[0]


def test_what_changes_in_place_is_seen() -> None:
    pair = Pair()
    weight, _ = pair.weights()
    with torch.no_grad():
        pair.inner[0].weight.fill_(7)
    assert pair.weights()[0] is weight and (weight == 7).all()
