"""A linear map for each of some groups, in one kernel. Contract and formula: `kernels.reference.group_linear`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.group_linear import GroupWeights
from kernels.triton.launch import check, depth_block, tile
from kernels.triton.tiles import add_exactly


def group_linear(weights: GroupWeights, x: Tensor, more: Tensor | None = None) -> Tensor:
    """As :func:`kernels.reference.group_linear`; no gradients. Raises TypeError for other precisions."""
    weight, bias = weights.weight.contiguous(), weights.bias.contiguous()
    more = None if more is None else more.contiguous()
    check("group_linear", (x, weight, bias, bias if more is None else more))
    (slots, inputs, dim), (groups, outputs) = x.shape, bias.shape
    y = torch.empty(slots, groups, outputs, dtype=x.dtype, device=x.device)
    block_m, block_n = tile(slots, outputs)
    _map[(groups, triton.cdiv(slots, block_m), triton.cdiv(outputs, block_n))](
        x.contiguous(), weight, bias, bias if more is None else more, weights.heard.contiguous(), y,
        slots, inputs, groups, dim, outputs,
        MORE=more is not None, BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=depth_block(x, block_m),
    )  # fmt: skip
    return y


@triton.jit
def _map(
    x_ptr: tl.tensor,  # [M, N, I]
    weight_ptr: tl.tensor,  # [G, I, O]
    bias_ptr: tl.tensor,  # [G, O]
    more_ptr: tl.tensor,  # [G, O]
    heard_ptr: tl.tensor,  # [G]
    y_ptr: tl.tensor,  # [M, G, O]
    slots: tl.tensor,
    inputs: tl.tensor,
    groups: tl.tensor,
    dim: tl.tensor,
    outputs: tl.tensor,
    MORE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    group = tl.program_id(0).to(tl.int64)
    slot = tl.program_id(1).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(2) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = slot < slots, out < outputs
    row_ptr = x_ptr + (slot * inputs + tl.load(heard_ptr + group)) * dim
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    lost = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, dim, BLOCK_K):
        i = start + tl.arange(0, BLOCK_K)
        there = i < dim
        x = tl.load(row_ptr[:, None] + i, mask=inside[:, None] & there[None, :], other=0.0)
        at = weight_ptr + (group * dim + i)[:, None] * outputs + out[None, :]
        weight = tl.load(at, mask=there[:, None] & wanted[None, :], other=0.0)
        acc, lost = add_exactly(acc, lost, tl.dot(x, weight, input_precision="ieee"))
    acc += tl.load(bias_ptr + group * outputs + out, mask=wanted, other=0.0).to(tl.float32)[None, :]
    if MORE:
        acc += tl.load(more_ptr + group * outputs + out, mask=wanted, other=0.0).to(tl.float32)[None, :]
    y = y_ptr + (slot * groups + group)[:, None] * outputs + out[None, :]
    tl.store(y, acc.to(y_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])
