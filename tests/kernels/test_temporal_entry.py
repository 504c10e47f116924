"""What enters the temporal transformer: every backend against the reference in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kernels.inputs import make_inputs
from kernels.reference.temporal_entry import TemporalEntryWeights, temporal_entry
from tests.kernels.backends import assert_close_as_torch, backends, load, names, to

REAL = {"stems": 4, "inputs": 256, "width": 64, "dim": 256, "head_dim": 32}
ODD = {"stems": 3, "inputs": 19, "width": 5, "dim": 23, "head_dim": 6}
LEAST = {"stems": 1, "inputs": 1, "width": 1, "dim": 1, "head_dim": 2}


def _inputs(slots: int, sizes: dict[str, int]) -> list[Any]:
    """Slots at every lookahead, before, at and behind their first frame, and after ten years."""
    torch.manual_seed(slots)
    weights, c, latent, _, _, lowest = make_inputs("temporal_entry", {"slots": slots, **sizes}, torch.float32, "cpu")
    index = torch.arange(slots) % 4
    position = torch.tensor([0, 1, 2, 3, 0, 1, 1, 2, 10_000_000_019])[torch.arange(slots) % 9]
    return [*weights, c, latent, index, position, lowest]


def _run(function: Any, values: list[Any], remembers: bool = True) -> tuple[torch.Tensor, ...]:
    *weights, c, latent, index, position, lowest = values
    return function(TemporalEntryWeights(*weights), c, latent, index, position, lowest, remembers)


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize(("slots", "sizes"), [(9, REAL), (36, ODD), (2, LEAST)])
@pytest.mark.parametrize(("backend", "dtype"), backends("temporal_entry"))
def test_error_is_that_of_torch(
    backend: str, dtype: torch.dtype, slots: int, sizes: dict[str, int], remembers: bool
) -> None:
    inputs = to(_inputs(slots, sizes), dtype)
    exact, plain = _run(temporal_entry, to(inputs, torch.float64), remembers), _run(temporal_entry, inputs, remembers)
    ours = _run(load("temporal_entry", backend), to(inputs, dtype, backend), remembers)
    for own, torchs, true in zip(ours, plain, exact, strict=True):
        assert_close_as_torch(own, torchs, true, roundings=3)


@pytest.mark.parametrize("backend", ["reference", *names("temporal_entry")])
def test_before_the_first_frame_the_past_may_hold_anything(backend: str) -> None:
    inputs = to(_inputs(9, ODD), torch.float32, backend)
    latent, index, position = inputs[-4:-1]
    before = position <= (index - 1).clamp(min=0)
    expected = _run(load("temporal_entry", backend), inputs)[0].clone()
    assert before.any() and not before.all()
    latent[before] = torch.nan
    torch.testing.assert_close(_run(load("temporal_entry", backend), inputs)[0], expected, atol=0, rtol=0)


@pytest.mark.parametrize("backend", ["reference", *names("temporal_entry")])
def test_a_poisoned_slot_stays_alone(backend: str) -> None:
    inputs = to(_inputs(9, ODD), torch.float32, backend)
    inputs[-5][4] = torch.nan
    x, cos, sin = _run(load("temporal_entry", backend), inputs)
    assert x[4].isnan().all() and x[[0, 1, 2, 3, 5, 6, 7, 8]].isfinite().all()
    torch.testing.assert_close(cos.square() + sin.square(), torch.ones_like(cos), atol=1e-6, rtol=0)
