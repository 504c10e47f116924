"""Norm and product in one kernel. Contract and formula: `kernels.reference.norm_linear`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.rms_norm import EPS
from kernels.triton.launch import check, depth_block, tile
from kernels.triton.tiles import normed_product, row_scale


def norm_linear(x: Tensor, norm: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """As :func:`kernels.reference.norm_linear`; no gradients. Raises TypeError for other precisions."""
    check("norm_linear", (x, norm, weight))
    rows, out = x.contiguous().view(-1, x.shape[-1]), weight.shape[0]
    y = torch.empty(*x.shape[:-1], out, dtype=x.dtype, device=x.device)
    block_m, block_n = tile(len(rows), out)
    _multiply[(triton.cdiv(len(rows), block_m), triton.cdiv(out, block_n))](
        rows,
        norm.contiguous(),
        weight.contiguous(),
        y,
        len(rows),
        rows.shape[1],
        out,
        eps,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        BLOCK_K=depth_block(rows, block_m),
    )
    return y


@triton.jit
def _multiply(
    x_ptr: tl.tensor,  # [M, D]
    norm_ptr: tl.tensor,  # [D]
    weight_ptr: tl.tensor,  # [O, D]
    y_ptr: tl.tensor,  # [M, O]
    rows: tl.tensor,
    dim: tl.tensor,
    outputs: tl.tensor,
    eps: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = row < rows, out < outputs
    scale = row_scale(x_ptr, row, inside, dim, eps, BLOCK_M)
    y = normed_product(x_ptr, norm_ptr, weight_ptr, row, inside, scale, out, wanted, dim, BLOCK_M, BLOCK_N, BLOCK_K)
    at = y_ptr + row[:, None] * outputs + out[None, :]
    tl.store(at, y.to(y_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])
