"""One Conformer block for one frame a slot in thirteen kernels. Contract: `kernels.reference.conformer_step`.

norm, gate ─► down + x ─► norm, q, k, v ─► attention over time ─► out + x ─► norm, up ─► GLU, convolution, norm, SiLU
─► down + x ─► norm, q, k, v ─► attention over the tokens ─► out + x ─► norm, gate ─► down + x
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.conformer_step import ConformerWeights
from kernels.triton.gated_conv_step import gated_conv_step
from kernels.triton.launch import check, lengths
from kernels.triton.linear_residual import linear_residual
from kernels.triton.norm_linear import norm_linear
from kernels.triton.norm_swiglu import norm_swiglu
from kernels.triton.rel_attention import rel_attention
from kernels.triton.token_attention import token_attention


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
    if not past.is_contiguous():  # before the rings are changed
        raise ValueError("conformer_step of triton moves a contiguous past only")
    w, (slots, tokens, _), heads = weights, x.shape, key.shape[2]
    x = linear_residual(norm_swiglu(x, w.first_norm, w.first_up), w.first_down, x)
    qkv = norm_linear(x, w.time_norm, w.time_qkv).view(slots, tokens, 1, 3, heads, -1)
    mixed = rel_attention(*qkv.unbind(3), key, value, w.distance, position, lengths(position, active))
    x = linear_residual(mixed.view(x.shape), w.time_out, x)
    h = gated_conv_step(norm_linear(x, w.conv_norm, w.conv_up), past, w.depthwise, w.inner_norm, active)
    x = linear_residual(h, w.conv_down, x)
    mixed = token_attention(norm_linear(x, w.bands_norm, w.bands_qkv).view(slots, tokens, 3, heads, -1))
    x = linear_residual(mixed.view(x.shape), w.bands_out, x)
    return linear_residual(norm_swiglu(x, w.second_norm, w.second_up), w.second_down, x)
