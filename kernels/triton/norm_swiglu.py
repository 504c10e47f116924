"""Norm, gate, up and SiLU in one kernel. Contract and formula: `kernels.reference.norm_swiglu`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.rms_norm import EPS
from kernels.triton.launch import check, depth_block, tile
from kernels.triton.tiles import normed_product, row_scale


def norm_swiglu(x: Tensor, norm: Tensor, gate_up: Tensor, eps: float = EPS) -> Tensor:
    """As :func:`kernels.reference.norm_swiglu`; no gradients. Raises TypeError for other precisions."""
    check("norm_swiglu", (x, norm, gate_up))
    rows = x.contiguous().view(-1, x.shape[-1])
    hidden = gate_up.shape[0] // 2
    y = torch.empty(len(rows), hidden, dtype=x.dtype, device=x.device)
    block_m, block_n = tile(len(rows), hidden)
    _open[(triton.cdiv(len(rows), block_m), triton.cdiv(hidden, block_n))](
        rows,
        norm.contiguous(),
        gate_up.contiguous(),
        y,
        len(rows),
        rows.shape[1],
        hidden,
        eps,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        BLOCK_K=depth_block(rows, block_m),
    )
    return y.view(*x.shape[:-1], hidden)


@triton.jit
def _open(
    x_ptr: tl.tensor,  # [M, D]
    norm_ptr: tl.tensor,  # [D]
    weight_ptr: tl.tensor,  # [2·H, D]
    y_ptr: tl.tensor,  # [M, H]
    rows: tl.tensor,
    dim: tl.tensor,
    hidden: tl.tensor,
    eps: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = row < rows, out < hidden
    scale = row_scale(x_ptr, row, inside, dim, eps, BLOCK_M)
    gate = normed_product(x_ptr, norm_ptr, weight_ptr, row, inside, scale, out, wanted, dim, BLOCK_M, BLOCK_N, BLOCK_K)
    up = normed_product(
        x_ptr, norm_ptr, weight_ptr, row, inside, scale, out + hidden, wanted, dim, BLOCK_M, BLOCK_N, BLOCK_K
    )
    y = gate / (1.0 + tl.exp(-gate)) * up
    at = y_ptr + row[:, None] * hidden + out[None, :]
    tl.store(at, y.to(y_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])
