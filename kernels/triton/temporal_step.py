"""One transformer layer over ring caches. Contract and formula: `kernels.reference.temporal_step`.

A ring is a page as long as the window.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.layer import LayerWeights
from kernels.triton.paged_step import paged_step


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
    """As :func:`kernels.reference.temporal_step`; no gradients. Caches must be contiguous (ValueError)."""
    table = torch.arange(len(x), device=x.device, dtype=torch.int32).unsqueeze(1)
    return paged_step(layer, x, k_cache, v_cache, table, position, cos, sin, active)
