"""Norm, projections, RoPE and append in one kernel. Contract and formula: `kernels.reference.norm_qkv_rope_append`.

A program makes one head (of q, k or v) of a block of rows. Its two halves are two accumulators, so that a rotation
stays inside the program; what it makes goes to q, or straight into the page that the block table names.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.rms_norm import EPS
from kernels.triton.launch import block, check, depth_block
from kernels.triton.tiles import normed_product, row_scale


def norm_qkv_rope_append(
    x: Tensor,
    norm: Tensor,
    qkv: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    frequencies: Tensor,
    eps: float = EPS,
) -> Tensor:
    """As :func:`kernels.reference.norm_qkv_rope_append`; no gradients. Pages must be contiguous (ValueError)."""
    return project(x, norm, qkv, k_pages, v_pages, table, position, length, frequencies, None, eps)


def project(
    x: Tensor,
    norm: Tensor,
    qkv: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    frequencies: Tensor,
    sines: Tensor | None,
    eps: float = EPS,
) -> Tensor:
    """The op; or, with ``sines`` of every row ``[B·T, head_dim / 2]``, ``frequencies`` are such rows of cosines."""
    check("norm_qkv_rope_append", (x, norm, qkv, k_pages, v_pages))
    if not (k_pages.is_contiguous() and v_pages.is_contiguous()):
        raise ValueError("norm_qkv_rope_append of triton writes into contiguous pages only")
    slots, rows, dim = x.shape
    page, kv_heads, head_dim = k_pages.shape[1:]
    heads = qkv.shape[0] // head_dim - 2 * kv_heads
    q = torch.empty(slots, rows, heads, head_dim, dtype=x.dtype, device=x.device)
    block_m = block(slots * rows, most=64)
    _project[(triton.cdiv(slots * rows, block_m), heads + 2 * kv_heads)](
        x.contiguous(),
        norm.contiguous(),
        qkv.contiguous(),
        q,
        k_pages,
        v_pages,
        table.contiguous(),
        position.contiguous(),
        length.contiguous(),
        frequencies.contiguous(),
        (frequencies if sines is None else sines).contiguous(),
        slots * rows,
        rows,
        dim,
        eps,
        page,
        table.shape[1],
        TURNED=sines is not None,
        HEADS=heads,
        KV_HEADS=kv_heads,
        HALF=head_dim // 2,
        BLOCK_M=block_m,
        BLOCK_H=block(head_dim // 2),
        BLOCK_K=depth_block(x, block_m),
    )
    return q


@triton.jit
def _project(
    x_ptr: tl.tensor,  # [B·T, D]
    norm_ptr: tl.tensor,  # [D]
    qkv_ptr: tl.tensor,  # [(heads + 2·kv_heads)·head_dim, D]
    q_ptr: tl.tensor,  # [B·T, heads, head_dim]
    k_ptr: tl.tensor,  # [P, page, kv_heads, head_dim]
    v_ptr: tl.tensor,
    table_ptr: tl.tensor,  # [B, R]
    position_ptr: tl.tensor,  # [B]
    length_ptr: tl.tensor,  # [B]
    frequencies_ptr: tl.tensor,  # [head_dim / 2]; TURNED: cosines, [B·T, head_dim / 2]
    sines_ptr: tl.tensor,  # TURNED: [B·T, head_dim / 2]
    total: tl.tensor,
    rows: tl.tensor,
    dim: tl.tensor,
    eps: tl.tensor,
    page: tl.tensor,
    columns: tl.tensor,
    TURNED: tl.constexpr,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HALF: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    head = tl.program_id(1)
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    inside = row < total
    slot = row // rows
    at = tl.load(position_ptr + slot, mask=inside, other=0).to(tl.int64) + row % rows
    live = inside & (row % rows < tl.load(length_ptr + slot, mask=inside, other=0))

    i = tl.arange(0, BLOCK_H)
    wanted = i < HALF
    first = head.to(tl.int64) * (2 * HALF) + i
    scale = row_scale(x_ptr, row, inside, dim, eps, BLOCK_M)
    u = normed_product(x_ptr, norm_ptr, qkv_ptr, row, inside, scale, first, wanted, dim, BLOCK_M, BLOCK_H, BLOCK_K)
    v = normed_product(
        x_ptr, norm_ptr, qkv_ptr, row, inside, scale, first + HALF, wanted, dim, BLOCK_M, BLOCK_H, BLOCK_K
    )

    if TURNED:
        turned = row[:, None] * HALF + i[None, :]
        cos = tl.load(frequencies_ptr + turned, mask=inside[:, None] & wanted[None, :], other=1.0).to(tl.float32)
        sin = tl.load(sines_ptr + turned, mask=inside[:, None] & wanted[None, :], other=0.0).to(tl.float32)
    else:
        # The turn count overflows 32 bits, the fraction of a turn stays: exact at any position.
        turns = tl.load(frequencies_ptr + i, mask=wanted, other=0).to(tl.int64)
        phase = ((at & 0xFFFFFFFF)[:, None] * turns[None, :]) & 0xFFFFFFFF
        phase = tl.where(phase >= 0x80000000, phase - 0x100000000, phase)
        angle = phase.to(tl.float32) * 1.4629180792671596e-09  # 2π / 2³²
        cos, sin = tl.cos(angle), tl.sin(angle)
    rotates = head < HEADS + KV_HEADS
    cos = tl.where(rotates, cos, 1.0)
    sin = tl.where(rotates, sin, 0.0)
    a = (u * cos - v * sin).to(q_ptr.dtype.element_ty)
    b = (v * cos + u * sin).to(q_ptr.dtype.element_ty)

    if head < HEADS:
        out = q_ptr + (row * HEADS + head)[:, None] * (2 * HALF) + i[None, :]
        tl.store(out, a, mask=inside[:, None] & wanted[None, :])
        tl.store(out + HALF, b, mask=inside[:, None] & wanted[None, :])
    else:
        column = (at // page) % columns
        pages = tl.load(table_ptr + slot * columns + column, mask=live, other=0).to(tl.int64)
        kv_head = (head - HEADS) % KV_HEADS
        cell = ((pages * page + at % page) * KV_HEADS + kv_head)[:, None] * (2 * HALF) + i[None, :]
        keep = live[:, None] & wanted[None, :]
        if head < HEADS + KV_HEADS:
            tl.store(k_ptr + cell, a.to(k_ptr.dtype.element_ty), mask=keep)
            tl.store(k_ptr + cell + HALF, b.to(k_ptr.dtype.element_ty), mask=keep)
        else:
            tl.store(v_ptr + cell, a.to(v_ptr.dtype.element_ty), mask=keep)
            tl.store(v_ptr + cell + HALF, b.to(v_ptr.dtype.element_ty), mask=keep)
