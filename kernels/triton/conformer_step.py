"""One Conformer block for one frame a slot in some twenty kernels. Contract: `kernels.reference.conformer_step`.

norm, gate ─► down + x ─► norm ─► q, k, v ─► attention over time ─► out + x ─► norm ─► up ─► GLU ─► convolution ─► norm
─► SiLU ─► down + x ─► norm ─► q, k, v ─► attention over the tokens ─► out + x ─► norm, gate ─► down + x

Plain products are cuBLAS's, the attention of a frame's few tokens is torch's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.conformer_step import ConformerWeights
from kernels.triton.conv_stream import conv_stream
from kernels.triton.launch import check
from kernels.triton.linear_residual import linear_residual
from kernels.triton.norm_swiglu import norm_swiglu
from kernels.triton.rel_attention import rel_attention
from kernels.triton.rms_norm import rms_norm


def conformer_step(
    weights: ConformerWeights,
    x: Tensor,
    key: Tensor,
    value: Tensor,
    past: Tensor,
    position: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.conformer_step`; no gradients. Rings and past must be contiguous (ValueError)."""
    check("conformer_step", (x, key, value, past, *weights))
    if not past.is_contiguous():
        raise ValueError("conformer_step of triton moves a contiguous past only")
    w, (slots, tokens, dim), heads = weights, x.shape, key.shape[2]
    length = torch.ones_like(position, dtype=torch.int32) if active is None else active.int()
    every = length.unsqueeze(1).expand(slots, tokens).reshape(-1)
    x = linear_residual(norm_swiglu(x, w.first_norm, w.first_up), w.first_down, x)
    over_time = (part.view(slots, tokens, 1, heads, -1) for part in _three(x, w.time_norm, w.time_qkv))
    mixed = rel_attention(*over_time, key, value, w.distance, position, length)
    x = linear_residual(mixed.view(x.shape), w.time_out, x)
    h = F.glu(rms_norm(x, w.conv_norm) @ w.conv_up.T, -1)
    y = conv_stream(h.view(-1, 1, dim), past.flatten(0, 1), w.depthwise, every)
    x = linear_residual(F.silu(rms_norm(y.view(x.shape), w.inner_norm)), w.conv_down, x)
    q, k, v = (part.view(slots, tokens, heads, -1).transpose(1, 2) for part in _three(x, w.bands_norm, w.bands_qkv))
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
    x = linear_residual(mixed, w.bands_out, x)
    return linear_residual(norm_swiglu(x, w.second_norm, w.second_up), w.second_down, x)


def _three(x: Tensor, norm: Tensor, qkv: Tensor) -> tuple[Tensor, ...]:
    """Queries, keys and values, each [B·N, D] in one piece."""
    rows = rms_norm(x, norm).view(-1, x.shape[-1])
    return (rows @ qkv.view(3, -1, x.shape[-1]).mT).unbind(0)
