"""What enters the temporal transformer, in two kernels. Contract and formula: `kernels.reference.temporal_entry`.

The angles are made in float64: in float32 their rounding alone would be as large as what is allowed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.temporal_entry import TemporalEntryWeights
from kernels.triton.launch import block, check, depth_block, tile
from kernels.triton.tiles import add_exactly, product


def temporal_entry(
    weights: TemporalEntryWeights,
    c: Tensor,
    latent: Tensor,
    index: Tensor,
    position: Tensor,
    lowest: int,
    remembers: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`kernels.reference.temporal_entry`; no gradients. Raises TypeError for other precisions."""
    w = TemporalEntryWeights(*(each.contiguous() for each in weights))
    check("temporal_entry", (c, latent, *w[:-1]))
    slots, dim = len(c), len(w.bias)
    stems, width, _ = w.project.shape
    half = len(w.frequencies)
    x = torch.empty(slots, dim, dtype=c.dtype, device=c.device)
    cos, sin = (torch.empty(slots, half, device=c.device) for _ in range(2))
    block_m, block_n = tile(slots, dim)
    _enter[(triton.cdiv(slots, block_m), triton.cdiv(dim, block_n))](
        c.contiguous(), w.condition, w.bias, w.lookahead, w.scale, w.project, w.dropped, latent.contiguous(),
        index.contiguous(), position.contiguous(), x, slots, c.shape[1], stems, width, dim, lowest,
        REMEMBERS=remembers, BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=depth_block(c, block_m),
    )  # fmt: skip
    _turn[(slots,)](w.frequencies, position.contiguous(), cos, sin, half, BLOCK=block(half))
    return x, cos, sin


@triton.jit
def _enter(
    c_ptr: tl.tensor,  # [B, I]
    condition_ptr: tl.tensor,  # [D, I]
    bias_ptr: tl.tensor,  # [D]
    lookahead_ptr: tl.tensor,  # [K, D]
    scale_ptr: tl.tensor,  # [1]
    project_ptr: tl.tensor,  # [S·C, D]
    dropped_ptr: tl.tensor,  # [S, D]
    latent_ptr: tl.tensor,  # [B, S·C]
    index_ptr: tl.tensor,  # [B]
    position_ptr: tl.tensor,  # [B]
    x_ptr: tl.tensor,  # [B, D]
    slots: tl.tensor,
    inputs: tl.tensor,
    stems: tl.tensor,
    width: tl.tensor,
    dim: tl.tensor,
    lowest: tl.tensor,
    REMEMBERS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    b = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    d = tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = b < slots, d < dim
    index = tl.load(index_ptr + b, mask=inside, other=0)
    begun = tl.load(position_ptr + b, mask=inside, other=0) > tl.maximum(index + lowest, 0)
    known = inside & begun & REMEMBERS
    acc = product(c_ptr, condition_ptr, b, inside, d, wanted, inputs, inputs, 1, BLOCK_M, BLOCK_N, BLOCK_K)
    lost = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    scale = tl.load(scale_ptr).to(tl.float32)
    rows = stems * width
    for start in range(0, rows, BLOCK_K):
        i = start + tl.arange(0, BLOCK_K)
        there = i < rows
        past = tl.load(latent_ptr + b[:, None] * rows + i[None, :], mask=known[:, None] & there[None, :], other=0.0)
        project = tl.load(project_ptr + i[:, None] * dim + d[None, :], mask=there[:, None] & wanted[None, :], other=0.0)
        scaled = (past.to(tl.float32) * scale).to(past.dtype)
        acc, lost = add_exactly(acc, lost, tl.dot(scaled, project, input_precision="ieee"))
    dropped = tl.zeros((BLOCK_N,), tl.float32)
    for s in range(stems):
        dropped += tl.load(dropped_ptr + s * dim + d, mask=wanted, other=0.0).to(tl.float32)
    acc += tl.where(known[:, None], 0.0, dropped[None, :])
    acc += tl.load(bias_ptr + d, mask=wanted, other=0.0).to(tl.float32)[None, :]
    keep = inside[:, None] & wanted[None, :]
    acc += tl.load(lookahead_ptr + index[:, None] * dim + d[None, :], mask=keep, other=0.0).to(tl.float32)
    tl.store(x_ptr + b[:, None] * dim + d[None, :], acc.to(x_ptr.dtype.element_ty), mask=keep)


@triton.jit
def _turn(
    frequencies_ptr: tl.tensor,  # [d]
    position_ptr: tl.tensor,  # [B]
    cos_ptr: tl.tensor,  # [B, d]
    sin_ptr: tl.tensor,
    half: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    b = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    inside = i < half
    turns = tl.load(frequencies_ptr + i, mask=inside, other=0).to(tl.int64)
    # The turn count overflows 32 bits, the fraction of a turn stays: exact at any position.
    phase = ((tl.load(position_ptr + b).to(tl.int64) & 0xFFFFFFFF) * turns) & 0xFFFFFFFF
    phase = tl.where(phase >= 0x80000000, phase - 0x100000000, phase)
    angle = phase.to(tl.float64) * 1.4629180792671596e-09  # 2π / 2³²
    tl.store(cos_ptr + b * half + i, tl.cos(angle).to(tl.float32), mask=inside)
    tl.store(sin_ptr + b * half + i, tl.sin(angle).to(tl.float32), mask=inside)
