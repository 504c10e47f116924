"""Weights to int8, once. Knows matrices; knows no op."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar, cast

from torch import Tensor

from kernels.numba.matrices import Quantized

Weights = TypeVar("Weights", bound=tuple[Tensor, ...])


def quantize(weight: Tensor) -> Quantized:
    """Round each row of ``weight`` [..., O, I] to 255 steps: no number moves by more than half a step of its row."""
    weight = weight.detach().float()
    scale = weight.abs().amax(-1, keepdim=True) / 127
    scale = scale.masked_fill(scale == 0, 1)
    return Quantized((weight / scale).round().char(), scale.squeeze(-1))


def restore(matrix: Quantized) -> Tensor:
    """The float32 matrix that ``matrix`` stands for."""
    return matrix.codes.float() * matrix.scale.unsqueeze(-1)


def matrices_in_int8(weights: Weights, keep: Collection[str] = ()) -> Weights:
    """``weights``, a named tuple, its matrices as ``Quantized``, which compiled code takes in their place.

    All else is copied, and so are the matrices named in ``keep``.
    """
    group = cast("Any", weights)
    own = {n: quantize(w) if w.dim() == 2 and n not in keep else w.detach().clone() for n, w in group._asdict().items()}
    return cast("Weights", group._replace(**own))
