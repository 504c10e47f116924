"""A residual MLP of single rows, two launches a block and two more. Contract: `kernels.reference.frame_net`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.frame_net import EPS, FrameNetWeights
from kernels.triton.launch import check, depth_block, tile
from kernels.triton.tiles import normed_product, product, row_scale


def frame_net(weights: FrameNetWeights, x: Tensor, outputs: int | None = None) -> Tensor:
    """As :func:`kernels.reference.frame_net`; no gradients. Raises TypeError for other precisions."""
    check("frame_net", (x, *_tensors(weights)))
    rows = x.contiguous().view(-1, x.shape[-1])
    h = _sum(rows, weights.enter, weights.enter_bias, None)
    for block in weights.blocks:
        hidden = _empty(h, block.up.shape[0])
        _open[_grid(hidden)](
            h, block.norm.contiguous(), block.up.contiguous(), block.up_bias.contiguous(), hidden, len(h), h.shape[1],
            hidden.shape[1], EPS, **_blocks(h, hidden),
        )  # fmt: skip
        h = _sum(hidden, block.down, block.down_bias, h)
    y = _empty(h, len(weights.straight[:outputs]))
    _leave[_grid(y)](
        h, weights.norm.contiguous(), weights.leave.contiguous(), rows, weights.straight.contiguous(),
        weights.straight_bias.contiguous(), y, len(h), h.shape[1], rows.shape[1], y.shape[1], EPS, **_blocks(h, y),
    )  # fmt: skip
    return y.view(*x.shape[:-1], y.shape[1])


def _tensors(weights: FrameNetWeights) -> Iterator[Tensor]:
    for each in weights:
        yield from (each,) if isinstance(each, Tensor) else (x for block in each for x in block)


def _empty(like: Tensor, outputs: int) -> Tensor:
    return torch.empty(len(like), outputs, dtype=like.dtype, device=like.device)


def _grid(y: Tensor) -> tuple[int, int]:
    block_m, block_n = tile(*y.shape)
    return triton.cdiv(y.shape[0], block_m), triton.cdiv(y.shape[1], block_n)


def _blocks(x: Tensor, y: Tensor) -> dict[str, int]:
    block_m, block_n = tile(*y.shape)
    return {"BLOCK_M": block_m, "BLOCK_N": block_n, "BLOCK_K": depth_block(x, block_m)}


def _sum(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None) -> Tensor:
    y = _empty(x, weight.shape[0])
    _add[_grid(y)](
        x, weight.contiguous(), bias.contiguous(), x if residual is None else residual, y, len(x), x.shape[1],
        y.shape[1], RESIDUAL=residual is not None, **_blocks(x, y),
    )  # fmt: skip
    return y


@triton.jit
def _add(
    x_ptr: tl.tensor,  # [M, I]
    weight_ptr: tl.tensor,  # [O, I]
    bias_ptr: tl.tensor,  # [O]
    residual_ptr: tl.tensor,  # [M, O]
    y_ptr: tl.tensor,  # [M, O]
    rows: tl.tensor,
    dim: tl.tensor,
    outputs: tl.tensor,
    RESIDUAL: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = row < rows, out < outputs
    keep = inside[:, None] & wanted[None, :]
    at = row[:, None] * outputs + out[None, :]
    y = product(x_ptr, weight_ptr, row, inside, out, wanted, dim, dim, 1, BLOCK_M, BLOCK_N, BLOCK_K)
    y += tl.load(bias_ptr + out, mask=wanted, other=0.0).to(tl.float32)[None, :]
    if RESIDUAL:
        y += tl.load(residual_ptr + at, mask=keep, other=0.0).to(tl.float32)
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=keep)


@triton.jit
def _open(
    x_ptr: tl.tensor,  # [M, D]
    norm_ptr: tl.tensor,  # [D]
    weight_ptr: tl.tensor,  # [H, D]
    bias_ptr: tl.tensor,  # [H]
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
    y = normed_product(x_ptr, norm_ptr, weight_ptr, row, inside, scale, out, wanted, dim, BLOCK_M, BLOCK_N, BLOCK_K)
    y += tl.load(bias_ptr + out, mask=wanted, other=0.0).to(tl.float32)[None, :]
    y = 0.5 * y * (1.0 + tl.erf(y * 0.7071067811865476))
    tl.store(
        y_ptr + row[:, None] * hidden + out[None, :],
        y.to(y_ptr.dtype.element_ty),
        mask=inside[:, None] & wanted[None, :],
    )


@triton.jit
def _leave(
    h_ptr: tl.tensor,  # [M, D]
    norm_ptr: tl.tensor,  # [D]
    leave_ptr: tl.tensor,  # [O or more, D]
    x_ptr: tl.tensor,  # [M, I]
    straight_ptr: tl.tensor,  # [O or more, I]
    bias_ptr: tl.tensor,  # [O or more]
    y_ptr: tl.tensor,  # [M, O]
    rows: tl.tensor,
    dim: tl.tensor,
    inputs: tl.tensor,
    outputs: tl.tensor,
    eps: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = row < rows, out < outputs
    scale = row_scale(h_ptr, row, inside, dim, eps, BLOCK_M)
    y = normed_product(h_ptr, norm_ptr, leave_ptr, row, inside, scale, out, wanted, dim, BLOCK_M, BLOCK_N, BLOCK_K)
    y += product(x_ptr, straight_ptr, row, inside, out, wanted, inputs, inputs, 1, BLOCK_M, BLOCK_N, BLOCK_K)
    y += tl.load(bias_ptr + out, mask=wanted, other=0.0).to(tl.float32)[None, :]
    tl.store(
        y_ptr + row[:, None] * outputs + out[None, :],
        y.to(y_ptr.dtype.element_ty),
        mask=inside[:, None] & wanted[None, :],
    )
