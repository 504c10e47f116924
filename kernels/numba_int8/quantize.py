"""Weights to int8, once. Knows matrices; knows no op."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar, cast

from torch import Tensor

from kernels.numba.matrices import quantize

Weights = TypeVar("Weights", bound=tuple[Tensor, ...])


def matrices_in_int8(weights: Weights, keep: Collection[str] = ()) -> Weights:
    """``weights``, a named tuple, its matrices as ``Quantized``, which compiled code takes in their place.

    All else is copied, and so are the matrices named in ``keep``.
    """
    group = cast("Any", weights)
    own = {n: quantize(w) if w.dim() == 2 and n not in keep else w.detach().clone() for n, w in group._asdict().items()}
    return cast("Weights", group._replace(**own))
