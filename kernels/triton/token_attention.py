"""Attention among a frame's few tokens, a head a program. Contract: `kernels.reference.token_attention`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import block, check


def token_attention(qkv: Tensor) -> Tensor:
    """As :func:`kernels.reference.token_attention`; no gradients. All tokens of a frame are one tile: a hundred fit."""
    check("token_attention", (qkv,))
    frames, tokens, _, heads, dim = qkv.shape
    y = torch.empty(frames, tokens, heads, dim, dtype=qkv.dtype, device=qkv.device)
    _attend[(frames, heads)](
        qkv.contiguous(), y, tokens, heads, dim**-0.5, DIM=dim, BLOCK_N=block(tokens), BLOCK_D=block(dim)
    )
    return y


@triton.jit
def _attend(
    qkv_ptr: tl.tensor,  # [B, N, 3, H, d]
    y_ptr: tl.tensor,  # [B, N, H, d]
    tokens: tl.tensor,
    heads: tl.tensor,
    scale: tl.tensor,
    DIM: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
) -> None:
    frame, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n, i = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D)
    there, used = n < tokens, i < DIM
    row = ((frame * tokens + n) * 3 * heads + head) * DIM
    keep = there[:, None] & used[None, :]
    q = tl.load(qkv_ptr + row[:, None] + i[None, :], mask=keep, other=0.0)
    keys_ptr, values_ptr = qkv_ptr + heads * DIM, qkv_ptr + 2 * heads * DIM
    k = tl.load(keys_ptr + row[None, :] + i[:, None], mask=there[None, :] & used[:, None], other=0.0)
    v = tl.load(values_ptr + row[:, None] + i[None, :], mask=keep, other=0.0)
    scores = tl.where(there[None, :], tl.dot(q, k, input_precision="ieee") * scale, float("-inf"))
    weight = tl.exp(scores - tl.max(scores, 1)[:, None])
    y = tl.dot(weight.to(v.dtype), v, input_precision="ieee") / tl.sum(weight, 1)[:, None]
    at = ((frame * tokens + n) * heads + head)[:, None] * DIM + i[None, :]
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=keep)
