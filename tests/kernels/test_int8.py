"""Int8 weights: what rounding moves, and that the kernels compute what the rounded weights say."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.inputs import make_inputs
from kernels.numba.kept import Kept
from kernels.numba.matrices import Quantized, quantize, restore
from kernels.numba_int8.conformer_step import int8_block
from kernels.numba_int8.paged_step import int8_layer
from kernels.reference.conformer_step import ConformerWeights
from kernels.reference.layer import LayerWeights
from kernels.registry import resolve
from tests.kernels.backends import assert_close_as_torch

LAYER = {"dim": 64, "hidden": 72, "heads": 4, "kv_heads": 2, "window": 32}
SIZES: dict[str, dict[str, int]] = {
    "temporal_step": LAYER,
    "paged_step": LAYER,
    "conformer_step": {"tokens": 3, "dim": 20, "hidden": 37, "window": 7, "kernel": 5},
}
FROM_FLOAT32 = 0.02  # of the largest output: what one layer or block may lose by int8


def _wide(values: Any) -> Any:
    return [x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in values]


def _copies(values: Any) -> Any:
    return [x.clone() if isinstance(x, Tensor) else x for x in values]


def test_rounding_moves_no_number_by_more_than_half_a_step() -> None:
    weight = torch.randn(3, 37, 50, generator=torch.Generator().manual_seed(0))
    weight[1, 5] = 0
    rounded = quantize(weight)
    assert rounded.codes.dtype == torch.int8 and rounded.codes.abs().max() == 127
    assert ((restore(rounded) - weight).abs() <= 0.5001 * rounded.scale.unsqueeze(-1)).all()
    assert (restore(rounded)[1, 5] == 0).all()


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("op", SIZES)
def test_kernels_compute_what_the_rounded_weights_say(op: str, slots: int) -> None:
    torch.manual_seed(slots)
    weights, *rest = make_inputs(op, {"slots": slots, **SIZES[op]}, torch.float32, "cpu")
    reference, ours = (resolve(op, "cpu", name).function for name in ("reference", "numba_int8"))
    kept = int8_block(weights) if op == "conformer_step" else int8_layer(weights)
    kind = ConformerWeights if op == "conformer_step" else LayerWeights
    rounded = kind(*(restore(w) if isinstance(w, Quantized) else w for w in kept))
    exact = reference(kind(*_wide(rounded)), *_wide(_copies(rest)))
    plain = reference(rounded, *_copies(rest))
    y = ours(weights, *_copies(rest))
    assert_close_as_torch(y, plain, exact)
    lost = (y - reference(weights, *_copies(rest))).abs().max()
    assert 0 < lost <= FROM_FLOAT32 * exact.abs().max()


def test_depth_decode_computes_what_the_rounded_weights_say() -> None:
    torch.manual_seed(0)
    sizes = {"frames": 3, "places": 16, "steps": 7, "dim": 48, "hidden": 80, "layers": 2, "codes": 37, "width": 10}
    weights, heads, *rest = make_inputs("depth_decode", sizes, torch.float32, "cpu")
    reference, ours = (resolve("depth_decode", "cpu", name).function for name in ("reference", "numba_int8"))
    layers = tuple(LayerWeights(*(restore(quantize(w)) if w.dim() == 2 else w for w in one)) for one in weights.layers)
    rounded = weights._replace(layers=layers, heads=weights.heads._replace(head=restore(quantize(weights.heads.head))))
    expected, own = reference(rounded, heads, *rest), ours(weights, heads, *rest)
    torch.testing.assert_close(own.logits, expected.logits, atol=1e-4, rtol=1e-4)
    assert torch.equal(own.codes, own.logits.argmax(-1))
    assert (own.codes == expected.codes).float().mean() > 0.99
    assert not torch.allclose(own.logits, reference(weights, heads, *rest).logits, atol=1e-4)


def test_rounded_weights_are_kept_until_they_change_or_go() -> None:
    made: list[int] = []

    def make(weights: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        made.append(len(weights))
        return tuple(w + 1 for w in weights)

    kept, weights = Kept(make), (torch.zeros(2), torch.zeros(3))
    assert kept(weights) is kept(weights) and made == [2]
    weights[1].add_(1)
    assert kept(weights)[1].eq(2).all() and made == [2, 2]


@pytest.mark.parametrize("op", [*SIZES, "depth_decode"])
def test_int8_is_had_by_name_only(op: str) -> None:
    assert resolve(op, "cpu").implementation.backend == "numba"
    module = importlib.import_module(f"kernels.numba_int8.{op}")
    assert resolve(op, "cpu", "numba_int8").function is getattr(module, op)
