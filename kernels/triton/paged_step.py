"""One transformer layer over pages in five kernels. Contract and formula: `kernels.reference.paged_step`.

norm, projections, RoPE, append ─► attention ─► O + residual ─► norm, gate, up, SiLU ─► down + residual
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.layer import LayerWeights
from kernels.triton.launch import lengths
from kernels.triton.linear_residual import linear_residual
from kernels.triton.norm_qkv_rope_append import project
from kernels.triton.norm_swiglu import norm_swiglu
from kernels.triton.paged_attention import paged_attention


def paged_step(
    layer: LayerWeights,
    x: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    cos: Tensor,
    sin: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.paged_step`; no gradients. Pages must be contiguous (ValueError)."""
    window = table.shape[1] * k_pages.shape[1]
    pages = k_pages, v_pages, table, position, lengths(position, active)
    q = project(x.unsqueeze(1), layer.attention_norm, layer.qkv, *pages, cos, sin)
    mixed = paged_attention(q, *pages, window).flatten(1)
    x = linear_residual(mixed, layer.out, x)
    return linear_residual(norm_swiglu(x, layer.mlp_norm, layer.gate_up), layer.down, x)
