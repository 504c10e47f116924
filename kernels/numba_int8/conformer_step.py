"""One block of a band-split Conformer, its matrices in int8. Contract: `kernels.reference.conformer_step`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from kernels.numba import conformer_step as float32
from kernels.numba.kept import Kept
from kernels.numba_int8.quantize import matrices_in_int8
from kernels.reference.conformer_step import ConformerWeights

_NO_MATRIX = ("distance", "depthwise")


def conformer_step(weights: ConformerWeights, x: Tensor, *rest: Any, **more: Any) -> Tensor:
    """As :func:`kernels.numba.conformer_step`."""
    return float32.conformer_step(int8_block(weights), x, *rest, **more)


def _int8(weights: ConformerWeights) -> ConformerWeights:
    return matrices_in_int8(weights, keep=_NO_MATRIX)


int8_block = Kept(_int8)
