"""All codes of a frame, layers and full heads in int8. Contract: `kernels.reference.depth_decode`."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from kernels.numba import depth_decode as float32
from kernels.numba.kept import Kept
from kernels.numba.matrices import quantize
from kernels.numba_int8.paged_step import int8_layer
from kernels.reference.depth_decode import Emitted
from kernels.reference.depth_step import DepthHeads, DepthWeights


def depth_decode(weights: DepthWeights, *rest: Any, **more: Any) -> Emitted:
    """As :func:`kernels.numba.depth_decode`. Tied heads stay float32: they are small."""
    layers = tuple(int8_layer(layer) for layer in weights.layers)
    heads = int8_heads(weights.heads)
    return float32.depth_decode(DepthWeights(weights.feed, layers, heads), *rest, **more)


def _int8(heads: DepthHeads) -> DepthHeads:
    own = DepthHeads(*(w.detach().clone() for w in heads))
    return own._replace(head=cast("Tensor", quantize(heads.head)))


int8_heads = Kept(_int8)
