"""Weights in as few bytes as hold them: which those are, and that the kernels compute what the weights say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels.inputs import make_inputs
from kernels.numba.matrices import halved, quantize, restore, smallest
from kernels.registry import resolve
from tests.kernels.backends import assert_close_as_torch

LAYER = {"dim": 64, "hidden": 72, "heads": 4, "kv_heads": 2, "window": 32}
SIZES: dict[str, dict[str, int]] = {
    "conformer_step": {"tokens": 3, "dim": 20, "hidden": 37, "window": 7, "kernel": 5},
    "temporal_step": LAYER,
    "depth_entry": {"stems": 3, "hidden": 19, "guide": 37, "middle": 5, "dim": 23, "codebooks": 3},
    "depth_decode": {"places": 16, "steps": 7, "dim": 48, "hidden": 80, "layers": 2, "codes": 37, "width": 10},
    "frame_net": {"inputs": 9, "dim": 19, "hidden": 22, "layers": 2, "outputs": 13, "wanted": 11},
    "group_linear": {"inputs": 3, "groups": 4, "dim": 13, "outputs": 21},
    "guide_head": {"tokens": 3, "dim": 20, "bands": 6, "groups": 2, "width": 5, "hidden": 19, "rows": 4, "columns": 3},
    "temporal_entry": {"stems": 3, "inputs": 19, "width": 5, "dim": 23, "head_dim": 6},
}
# Both are compiled, which takes seconds: as in the shipped models, not every way.
HALVES = ("conformer_step", "frame_net", "group_linear", "guide_head")
BYTES = ("conformer_step", "depth_decode", "depth_entry", "temporal_entry", "temporal_step")
COUNT = {"depth_decode": "frames", "frame_net": "rows"}  # what others call slots


def _halves(x: Tensor) -> Tensor:
    return x.half().float()


def _bytes(x: Tensor) -> Tensor:
    return restore(quantize(x))


def _matrix() -> Tensor:
    return torch.randn(5, 13, generator=torch.Generator().manual_seed(0))


def test_what_was_stored_in_fewer_bytes_is_kept_in_as_few() -> None:
    ((codes, scale),) = smallest([_bytes(_matrix())])
    assert (codes.dtype, scale.dtype, scale.shape) == (np.int8, np.float32, (5,))
    for choose in (smallest, halved):
        (half,) = choose([_halves(_matrix())])
        assert half.dtype == np.uint16 and np.array_equal(half.view(np.float16), _matrix().half().numpy())


def test_all_of_a_group_are_of_one_kind() -> None:
    zeros = torch.zeros(2, 3)
    assert [x.dtype for x in smallest([zeros, _halves(_matrix())])] == [np.uint16] * 2
    assert [x.dtype for x in smallest([zeros, _matrix()])] == [np.float32] * 2
    assert all(isinstance(x, tuple) for x in smallest([zeros, _bytes(_matrix())])) and smallest([]) == []


def test_what_loses_by_that_is_kept_as_it_is() -> None:
    for spoilt, kind in ((1e6, np.float32), (float("nan"), np.float32), (float("inf"), np.uint16)):
        weight = _halves(_matrix())
        weight[2, 3] = spoilt
        assert [x.dtype for x in smallest([weight])] == [kind]
    weight = _matrix()
    assert np.shares_memory(smallest([weight])[0], weight.numpy())


@pytest.mark.parametrize("slots", [1, 5])
@pytest.mark.parametrize(("op", "rounded"), [*((op, _halves) for op in HALVES), *((op, _bytes) for op in BYTES)])
def test_kernels_compute_what_the_weights_say(op: str, slots: int, rounded: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(slots)
    weights, *rest = make_inputs(op, {COUNT.get(op, "slots"): slots, **SIZES[op]}, torch.float32, "cpu")
    weights = _each(weights, lambda w: rounded(w) if w.is_floating_point() and w.dim() > 1 and w.numel() else w)
    reference, ours = (resolve(op, "cpu", name).function for name in ("reference", "numba"))
    exact = reference(_each(weights, _double), *_each(tuple(rest), _double))
    plain, own = (function(weights, *_each(tuple(rest), Tensor.clone)) for function in (reference, ours))
    for y, torchs, true in zip(*(x if isinstance(x, tuple) else (x,) for x in (own, plain, exact)), strict=True):
        if y.is_floating_point():
            assert_close_as_torch(y, torchs, true, roundings=3)


def test_a_weight_that_changes_is_read_again() -> None:
    weights, *rest = make_inputs("conformer_step", {"slots": 1, **SIZES["conformer_step"]}, torch.float32, "cpu")
    weights = type(weights)(*(w.half().float() for w in weights))
    ours = resolve("conformer_step", "cpu", "numba").function
    before = ours(weights, *_each(tuple(rest), Tensor.clone))
    weights.second_down.mul_(2)
    after = ours(weights, *_each(tuple(rest), Tensor.clone))
    expected = resolve("conformer_step", "cpu", "reference").function(weights, *_each(tuple(rest), Tensor.clone))
    assert not torch.allclose(before, after, atol=1e-2)
    torch.testing.assert_close(after, expected, atol=1e-4, rtol=1e-4)


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x.clone()


def _each(group: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """``change`` of every tensor of a group, in groups inside of it, too."""
    if isinstance(group, Tensor):
        return change(group)
    if not isinstance(group, tuple):
        return group
    found = [_each(each, change) for each in group]
    return type(group)(*found) if hasattr(group, "_fields") else tuple(found)
