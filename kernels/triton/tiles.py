"""Tiles that several kernels share: normed rows times a few rows of a weight matrix. Knows tiles, no op."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def add_exactly(total: tl.tensor, lost: tl.tensor, part: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """``total + part`` and what rounding has lost so far (Kahan, CACM 1965).

    One row's product by cuBLAS is a tree of short sums. One long sum, which plainly added tiles make, erred by more
    than twice as much on an H200, in float32.
    """
    owed = part - lost
    new = total + owed
    return new, (new - total) - owed


@triton.jit
def row_scale(
    x_ptr: tl.tensor,  # [M, D]
    row: tl.tensor,  # [BLOCK_M] int64
    inside: tl.tensor,  # [BLOCK_M] bool
    dim: tl.tensor,
    eps: tl.tensor,
    BLOCK_M: tl.constexpr,
) -> tl.tensor:
    """1 / sqrt(mean(x²) + eps) of BLOCK_M rows, float32."""
    # As much at once as registers hold beside a product: of 16 rows, which mostly wait for memory, all there is.
    BLOCK: tl.constexpr = 256 if BLOCK_M == 16 else 2048 // BLOCK_M
    total = tl.zeros((BLOCK_M,), tl.float32)
    for start in range(0, dim, BLOCK):
        i = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row[:, None] * dim + i, mask=inside[:, None] & (i < dim)[None, :], other=0.0)
        x = x.to(tl.float32)
        total += tl.sum(x * x, 1)
    return 1.0 / tl.sqrt(total / dim + eps)


@triton.jit
def normed_product(
    x_ptr: tl.tensor,  # [M, D]
    norm_ptr: tl.tensor,  # [D]
    weight_ptr: tl.tensor,  # [O, D]
    row: tl.tensor,  # [BLOCK_M] int64, rows of x
    inside: tl.tensor,  # [BLOCK_M] bool
    scale: tl.tensor,  # [BLOCK_M] from row_scale
    out: tl.tensor,  # [BLOCK_N] int64, rows of weight
    wanted: tl.tensor,  # [BLOCK_N] bool
    dim: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> tl.tensor:
    """(x · scale · norm) · weightᵀ, [BLOCK_M, BLOCK_N] float32."""
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    lost = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, dim, BLOCK_K):
        i = start + tl.arange(0, BLOCK_K)
        there = i < dim
        x = tl.load(x_ptr + row[:, None] * dim + i, mask=inside[:, None] & there[None, :], other=0.0)
        norm = tl.load(norm_ptr + i, mask=there, other=0.0).to(tl.float32)
        normed = (x.to(tl.float32) * scale[:, None] * norm[None, :]).to(x.dtype)
        weight = tl.load(weight_ptr + out[None, :] * dim + i[:, None], mask=there[:, None] & wanted[None, :], other=0.0)
        acc, lost = add_exactly(acc, lost, tl.dot(normed, weight, input_precision="ieee"))
    return acc


@triton.jit
def product(
    x_ptr: tl.tensor,  # [M, I]
    weight_ptr: tl.tensor,
    row: tl.tensor,  # [BLOCK_M] int64, rows of x
    inside: tl.tensor,  # [BLOCK_M] bool
    out: tl.tensor,  # [BLOCK_N] outputs
    wanted: tl.tensor,  # [BLOCK_N] bool
    dim: tl.tensor,
    out_step: tl.tensor,  # from a weight to that of the next output: I of [O, I], 1 of [I, O]
    in_step: tl.tensor,  # from a weight to that of the next input
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> tl.tensor:
    """x · weight, summed over the inputs, [BLOCK_M, BLOCK_N] float32."""
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    lost = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, dim, BLOCK_K):
        i = start + tl.arange(0, BLOCK_K)
        there = i < dim
        x = tl.load(x_ptr + row[:, None] * dim + i, mask=inside[:, None] & there[None, :], other=0.0)
        cell = weight_ptr + out[None, :] * out_step + i[:, None] * in_step
        weight = tl.load(cell, mask=there[:, None] & wanted[None, :], other=0.0)
        acc, lost = add_exactly(acc, lost, tl.dot(x, weight, input_precision="ieee"))
    return acc
