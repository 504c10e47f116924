"""Weights to int8, once. Knows matrices; knows no op."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar, cast

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from kernels.numba.matrices import Quantized

Weights = TypeVar("Weights", bound=tuple[Tensor, ...])
Stamp = tuple[tuple[int, int], ...]


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


class Kept(Generic[Weights]):
    """``make``'s result for a group of weights, as long as its first tensor lives and none of it changes."""

    def __init__(self, make: Callable[[Weights], Weights]) -> None:
        self._make = make
        self._made: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __call__(self, weights: Weights) -> Weights:
        stamp = tuple((x.data_ptr(), 0 if x.is_inference() else x._version) for x in weights)
        known = self._made.get(weights[0])
        if known is None or known[0] != stamp:
            known = self._made[weights[0]] = stamp, self._make(weights)
        return known[1]
