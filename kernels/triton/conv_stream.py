"""Causal depthwise convolution with carried state, in Triton. Contract and formula: `kernels.reference.conv_stream`.

A program owns a block of channels of one slot through all its frames, so that nobody else reads the past it moves on.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import block, check


def conv_stream(x: Tensor, past: Tensor, weight: Tensor, length: Tensor) -> Tensor:
    """As :func:`kernels.reference.conv_stream`; no gradients. ``past`` must be contiguous (ValueError)."""
    check("conv_stream", (x, past, weight))
    if not past.is_contiguous():
        raise ValueError("conv_stream of triton moves a contiguous past only")
    slots, frames, dim = x.shape
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    size = block(dim, most=128)
    _convolve[(slots, triton.cdiv(dim, size))](
        x.contiguous(),
        past,
        weight.contiguous(),
        length.contiguous(),
        y,
        frames,
        dim,
        KERNEL=weight.shape[0],
        BLOCK=size,
    )
    return y


@triton.jit
def _convolve(
    x_ptr: tl.tensor,  # [B, T, D]
    past_ptr: tl.tensor,  # [B, K-1, D], changed in place
    weight_ptr: tl.tensor,  # [K, D]
    length_ptr: tl.tensor,  # [B]
    y_ptr: tl.tensor,  # [B, T, D]
    frames: tl.tensor,
    dim: tl.tensor,
    KERNEL: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    slot = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < dim
    before = past_ptr + slot * (KERNEL - 1) * dim + i
    new = x_ptr + slot * frames * dim + i
    length = tl.load(length_ptr + slot)
    for t in range(frames):
        total = tl.zeros((BLOCK,), tl.float32)
        for k in tl.static_range(KERNEL):
            at = i * 0 + t + k - (KERNEL - 1)  # frame of x; before the chunk it is in the past
            old = tl.load(before + (at + KERNEL - 1) * dim, mask=inside & (at < 0), other=0.0)
            x = tl.load(new + at * dim, mask=inside & (at >= 0), other=0.0)
            weight = tl.load(weight_ptr + k * dim + i, mask=inside, other=0.0).to(tl.float32)
            total += weight * tl.where(at < 0, old.to(tl.float32), x.to(tl.float32))
        tl.store(y_ptr + (slot * frames + t) * dim + i, total.to(y_ptr.dtype.element_ty), mask=inside)
    # A thread reads row k + length before it writes row k, and never a row that it has written.
    for k in tl.static_range(KERNEL - 1):
        at = i * 0 + k + length - (KERNEL - 1)
        old = tl.load(before + (k + length) * dim, mask=inside & (at < 0), other=0.0)
        x = tl.load(new + at * dim, mask=inside & (at >= 0), other=0.0)
        kept = tl.where(at < 0, old, x.to(old.dtype))
        tl.store(before + k * dim, kept, mask=inside & (i * 0 + length > 0))
