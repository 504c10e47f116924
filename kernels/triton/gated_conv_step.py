"""Gate, convolution, norm and SiLU of a frame in one kernel. Contract: `kernels.reference.gated_conv_step`.

A program owns a token of a slot with all its channels, so that the norm stays inside and nobody else reads the past.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.rms_norm import EPS
from kernels.triton.launch import block, check, lengths


def gated_conv_step(
    x: Tensor, past: Tensor, weight: Tensor, norm: Tensor, active: Tensor | None = None, eps: float = EPS
) -> Tensor:
    """As :func:`kernels.reference.gated_conv_step`; no gradients. ``past`` must be contiguous (ValueError)."""
    check("gated_conv_step", (x, past, weight, norm))
    if not past.is_contiguous():
        raise ValueError("gated_conv_step of triton moves a contiguous past only")
    slots, tokens, dim = x.shape[0], x.shape[1], weight.shape[1]
    y = torch.empty(slots, tokens, dim, dtype=x.dtype, device=x.device)
    moves = lengths(x[:, 0, 0], active)
    _convolve[(slots * tokens,)](
        x.contiguous(), past, weight.contiguous(), norm.contiguous(), moves, y, tokens, dim, eps,
        KERNEL=weight.shape[0], BLOCK=block(dim),
    )  # fmt: skip
    return y


@triton.jit
def _convolve(
    x_ptr: tl.tensor,  # [B, N, 2·D]
    past_ptr: tl.tensor,  # [B, N, K-1, D], changed in place
    weight_ptr: tl.tensor,  # [K, D]
    norm_ptr: tl.tensor,  # [D]
    moves_ptr: tl.tensor,  # [B], 0 or 1
    y_ptr: tl.tensor,  # [B, N, D]
    tokens: tl.tensor,
    dim: tl.tensor,
    eps: tl.tensor,
    KERNEL: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    inside = i < dim
    moves = inside & (i * 0 + tl.load(moves_ptr + row // tokens) > 0)
    value = tl.load(x_ptr + row * 2 * dim + i, mask=inside, other=0.0).to(tl.float32)
    gate = tl.load(x_ptr + row * 2 * dim + dim + i, mask=inside, other=0.0).to(tl.float32)
    h = value / (1.0 + tl.exp(-gate))
    past = past_ptr + row * (KERNEL - 1) * dim + i
    total = h * tl.load(weight_ptr + (KERNEL - 1) * dim + i, mask=inside, other=0.0).to(tl.float32)
    for k in tl.static_range(KERNEL - 1):
        weight = tl.load(weight_ptr + k * dim + i, mask=inside, other=0.0).to(tl.float32)
        total += weight * tl.load(past + k * dim, mask=inside, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(total * total, 0) / dim + eps)
    y = total * scale * tl.load(norm_ptr + i, mask=inside, other=0.0).to(tl.float32)
    y = y / (1.0 + tl.exp(-y))
    tl.store(y_ptr + row * dim + i, y.to(y_ptr.dtype.element_ty), mask=inside)
    # A thread reads row k + 1 before it writes row k, and never a row that it has written.
    for k in tl.static_range(KERNEL - 2):
        tl.store(past + k * dim, tl.load(past + (k + 1) * dim, mask=moves, other=0.0), mask=moves)
    if KERNEL > 1:
        tl.store(past + (KERNEL - 2) * dim, h.to(past_ptr.dtype.element_ty), mask=moves)
