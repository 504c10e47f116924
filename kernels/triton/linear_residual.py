"""A product added to what was there, in Triton. Contract and formula: `kernels.reference.linear_residual`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import check, depth_block, tile
from kernels.triton.tiles import product


def linear_residual(x: Tensor, weight: Tensor, residual: Tensor) -> Tensor:
    """As :func:`kernels.reference.linear_residual`; no gradients. Raises TypeError for other precisions."""
    check("linear_residual", (x, weight, residual))
    rows = x.contiguous().view(-1, x.shape[-1])
    out = weight.shape[0]
    y = torch.empty(residual.shape, dtype=residual.dtype, device=x.device)
    block_m, block_n = tile(len(rows), out)
    _add[(triton.cdiv(len(rows), block_m), triton.cdiv(out, block_n))](
        rows,
        weight.contiguous(),
        residual.contiguous(),
        y,
        len(rows),
        rows.shape[1],
        out,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        BLOCK_K=depth_block(rows, block_m),
    )
    return y


@triton.jit
def _add(
    x_ptr: tl.tensor,  # [M, I]
    weight_ptr: tl.tensor,  # [O, I]
    residual_ptr: tl.tensor,  # [M, O]
    y_ptr: tl.tensor,  # [M, O]
    rows: tl.tensor,
    dim: tl.tensor,
    outputs: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = row < rows, out < outputs
    keep = inside[:, None] & wanted[None, :]
    at = row[:, None] * outputs + out[None, :]
    acc = product(x_ptr, weight_ptr, row, inside, out, wanted, dim, dim, 1, BLOCK_M, BLOCK_N, BLOCK_K)
    acc += tl.load(residual_ptr + at, mask=keep, other=0.0).to(tl.float32)
    tl.store(y_ptr + at, acc.to(y_ptr.dtype.element_ty), mask=keep)
