"""One layer over pages, its matrices in int8. Contract: `kernels.reference.paged_step`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from kernels.numba import paged_step as float32
from kernels.numba.kept import Kept
from kernels.numba_int8.quantize import matrices_in_int8
from kernels.reference.layer import LayerWeights


def paged_step(layer: LayerWeights, x: Tensor, *rest: Any, **more: Any) -> Tensor:
    """As :func:`kernels.numba.paged_step`."""
    return float32.paged_step(int8_layer(layer), x, *rest, **more)


def _int8(layer: LayerWeights) -> LayerWeights:
    return matrices_in_int8(layer)


int8_layer = Kept(_int8)
