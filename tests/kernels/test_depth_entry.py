"""What the depth transformer is told of a frame: every backend against the reference in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kernels.inputs import make_inputs
from kernels.reference.depth_entry import EntryWeights, depth_entry
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

REAL = {"stems": 4, "hidden": 256, "guide": 240, "middle": 64, "dim": 192, "codebooks": 4}
ODD = {"stems": 3, "hidden": 19, "guide": 37, "middle": 5, "dim": 23, "codebooks": 3}
LEAST = {"stems": 1, "hidden": 1, "guide": 1, "middle": 1, "dim": 1, "codebooks": 1}


def _inputs(slots: int, sizes: dict[str, int]) -> list[Any]:
    torch.manual_seed(slots)
    weights, *rest = make_inputs("depth_entry", {"slots": slots, **sizes}, torch.float32, "cpu")
    return [*weights, *rest]


def _run(function: Any, values: list[Any], guided: bool, codebooks: int) -> torch.Tensor:
    *weights, h, guide, _ = values
    return function(EntryWeights(*weights), h, guide if guided else None, codebooks)


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize(("slots", "sizes"), [(1, REAL), (17, ODD), (2, LEAST)])
@pytest.mark.parametrize(("backend", "dtype"), backends("depth_entry"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, slots: int, sizes: dict[str, int], guided: bool
) -> None:
    inputs = to(_inputs(slots, sizes), dtype)
    for codebooks in {1, sizes["codebooks"]} if slots > 1 else {sizes["codebooks"]}:
        exact = _run(depth_entry, to(inputs, torch.float64), guided, codebooks)
        plain = _run(depth_entry, inputs, guided, codebooks)
        ours = _run(load("depth_entry", backend), to(inputs, dtype, backend), guided, codebooks)
        assert_close_as_torch(ours, plain, exact, roundings=3)


@pytest.mark.parametrize("backend", ["reference", *names("depth_entry")])
def test_a_poisoned_slot_stays_alone(backend: str) -> None:
    inputs = to(_inputs(3, ODD), torch.float32, backend)
    inputs[-2][1] = torch.nan
    known = _run(load("depth_entry", backend), inputs, True, 3)
    assert known[1].isnan().all() and known[0].isfinite().all() and known[2].isfinite().all()
