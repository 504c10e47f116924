"""One layer of a sliding-window transformer on the CPU. Contract and formula: `kernels.reference.temporal_step`.

A ring is a page as long as the window.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from kernels.numba.paged_step import step
from kernels.reference.layer import LayerWeights


def temporal_step(
    layer: LayerWeights,
    x: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    position: Tensor,
    cos: Tensor,
    sin: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.temporal_step`; float32 CPU tensors only, no gradients, else TypeError."""
    table = np.arange(len(x)).reshape(-1, 1)
    return step(layer, x, k_cache, v_cache, table, position, cos, sin, active)
