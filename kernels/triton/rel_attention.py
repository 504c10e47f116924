"""Conformer time attention in Triton. Contract and formula: `kernels.reference.rel_attention`.

program (slot and token, head, tile of frames):  keys of the ring, then of the chunk;   a second kernel appends
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import block, check


def rel_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key: Tensor,
    value: Tensor,
    distance: Tensor,
    position: Tensor,
    length: Tensor,
) -> Tensor:
    """As :func:`kernels.reference.rel_attention`; no gradients. Rings must be contiguous (ValueError)."""
    check("rel_attention", (q, k, v, key, value, distance))
    if not (key.is_contiguous() and value.is_contiguous()):
        raise ValueError("rel_attention of triton writes into contiguous rings only")
    slots, tokens, frames, heads, dim = q.shape
    window = key.shape[3]
    q, k, v = (x.contiguous() for x in (q, k, v))
    y = torch.empty_like(q)
    position, length = position.contiguous(), length.contiguous()
    size = {"DIM": dim, "BLOCK_D": block(dim)}
    block_m = block(frames, most=32)
    _attend[(slots * tokens, heads, triton.cdiv(frames, block_m))](
        q, k, v, key, value, distance.contiguous(), position, length, y,
        tokens, frames, heads, window, dim**-0.5, **size, BLOCK_M=block_m, BLOCK_N=32,
    )  # fmt: skip
    _append[(slots * tokens, heads, min(frames, window))](
        k, v, key, value, position, length, tokens, frames, heads, window, **size
    )
    return y


@triton.jit
def _attend(
    q_ptr: tl.tensor,  # [B, N, T, H, d]
    k_ptr: tl.tensor,
    v_ptr: tl.tensor,
    key_ptr: tl.tensor,  # [B, N, H, W, d]
    value_ptr: tl.tensor,
    distance_ptr: tl.tensor,  # [H, W]
    position_ptr: tl.tensor,  # [B]
    length_ptr: tl.tensor,  # [B]
    y_ptr: tl.tensor,  # [B, N, T, H, d]
    tokens: tl.tensor,
    frames: tl.tensor,
    heads: tl.tensor,
    window: tl.tensor,
    scale: tl.tensor,
    DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    t = tl.program_id(2) * BLOCK_M + tl.arange(0, BLOCK_M)
    position = tl.load(position_ptr + token // tokens).to(tl.int64)
    length = tl.load(length_ptr + token // tokens).to(tl.int64)
    i = tl.arange(0, BLOCK_D)
    used = i < DIM
    at = ((token * frames + t) * heads + head)[:, None] * DIM + i[None, :]
    live = t < length
    q = tl.load(q_ptr + at, mask=live[:, None] & used[None, :], other=0.0)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    mass = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    ring = (token * heads + head) * window
    # Frames relative to the chunk: -window … -1 are in the ring, 0 … length - 1 in the chunk. None for an idle slot.
    oldest = tl.where(length > 0, -tl.minimum(window, position), 0)
    for start in range(oldest, length, BLOCK_N):
        u = start + tl.arange(0, BLOCK_N)
        old = (u < 0) & (position + u >= 0)
        new = (u >= 0) & (u < length)
        cell = (ring + (position + u + window) % window) * DIM
        row = ((token * frames + u) * heads + head) * DIM
        k = tl.load(key_ptr + cell[None, :] + i[:, None], mask=old[None, :] & used[:, None], other=0.0)
        k += tl.load(k_ptr + row[None, :] + i[:, None], mask=new[None, :] & used[:, None], other=0.0)
        v = tl.load(value_ptr + cell[:, None] + i[None, :], mask=old[:, None] & used[None, :], other=0.0)
        v += tl.load(v_ptr + row[:, None] + i[None, :], mask=new[:, None] & used[None, :], other=0.0)
        lag = t[:, None] - u[None, :]
        seen = (lag >= 0) & (lag < window) & (old | new)[None, :] & live[:, None]
        bias = tl.load(distance_ptr + head * window + lag, mask=seen, other=0.0).to(tl.float32)
        scores = tl.dot(q, k.to(q.dtype), input_precision="ieee") * scale + bias
        scores = tl.where(seen, scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        weight = tl.exp(scores - safe[:, None])
        shrink = tl.exp(top - safe)
        mass = mass * shrink + tl.sum(weight, 1)
        acc = acc * shrink[:, None] + tl.dot(weight.to(q.dtype), v.to(q.dtype), input_precision="ieee")
        top = higher
    y = acc / tl.where(mass > 0, mass, 1.0)[:, None]
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=(t < frames)[:, None] & used[None, :])


@triton.jit
def _append(
    k_ptr: tl.tensor,  # [B, N, T, H, d]
    v_ptr: tl.tensor,
    key_ptr: tl.tensor,  # [B, N, H, W, d]
    value_ptr: tl.tensor,
    position_ptr: tl.tensor,
    length_ptr: tl.tensor,
    tokens: tl.tensor,
    frames: tl.tensor,
    heads: tl.tensor,
    window: tl.tensor,
    DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    position = tl.load(position_ptr + token // tokens).to(tl.int64)
    length = tl.load(length_ptr + token // tokens).to(tl.int64)
    t = length - 1 - tl.program_id(2)  # the newest first
    i = tl.arange(0, BLOCK_D)
    keep = (i < DIM) & (i * 0 + t >= 0)
    row = ((token * frames + t) * heads + head) * DIM + i
    cell = ((token * heads + head) * window + (position + t) % window) * DIM + i
    tl.store(key_ptr + cell, tl.load(k_ptr + row, mask=keep, other=0.0).to(key_ptr.dtype.element_ty), mask=keep)
    tl.store(value_ptr + cell, tl.load(v_ptr + row, mask=keep, other=0.0).to(value_ptr.dtype.element_ty), mask=keep)
