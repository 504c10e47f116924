"""One layer over rings, its matrices in int8. Contract: `kernels.reference.temporal_step`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from kernels.numba import temporal_step as float32
from kernels.numba_int8.paged_step import int8_layer
from kernels.reference.layer import LayerWeights


def temporal_step(layer: LayerWeights, x: Tensor, *rest: Any, **more: Any) -> Tensor:
    """As :func:`kernels.numba.temporal_step`."""
    return float32.temporal_step(int8_layer(layer), x, *rest, **more)
