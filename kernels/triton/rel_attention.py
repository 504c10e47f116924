"""Conformer time attention in Triton. Contract and formula: `kernels.reference.rel_attention`.

program (slot and token, head, tile of frames):  keys of the ring, then of the chunk;   a second kernel appends
program (slot and token, head) of one frame:     keys of the ring, the new one put in;  the same kernel appends

Of one frame, a product would use a sixteenth of its rows.
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
    y = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    position, length, distance = position.contiguous(), length.contiguous(), distance.contiguous()
    size = {"DIM": dim, "BLOCK_D": block(dim)}
    if frames == 1:
        q, k, v = (_rows(x) for x in (q, k, v))
        _step[(slots * tokens, heads)](
            q, k, v, key, value, distance, position, length, y, q.stride(0), k.stride(0), v.stride(0),
            tokens, heads, window, dim**-0.5, **size, BLOCK_W=block(window, most=64),
        )  # fmt: skip
        return y
    q, k, v = (x.contiguous() for x in (q, k, v))
    block_m = block(frames, most=32)
    _attend[(slots * tokens, heads, triton.cdiv(frames, block_m))](
        q, k, v, key, value, distance, position, length, y,
        tokens, frames, heads, window, dim**-0.5, **size, BLOCK_M=block_m, BLOCK_N=32,
    )  # fmt: skip
    _append[(slots * tokens, heads, min(frames, window))](
        k, v, key, value, position, length, tokens, frames, heads, window, **size
    )
    return y


def _rows(x: Tensor) -> Tensor:
    """``[B, N, 1, H, d]`` → ``[B·N, H·d]``, without a copy where it is a part of longer rows."""
    rows = x.reshape(-1, x.shape[3] * x.shape[4])
    return rows if rows.stride(1) == 1 else rows.contiguous()


@triton.jit
def _step(
    q_ptr: tl.tensor,  # [B·N, H·d], so far from row to row as the strides say
    k_ptr: tl.tensor,
    v_ptr: tl.tensor,
    key_ptr: tl.tensor,  # [B, N, H, W, d]
    value_ptr: tl.tensor,
    distance_ptr: tl.tensor,  # [H, W]
    position_ptr: tl.tensor,  # [B]
    length_ptr: tl.tensor,  # [B]
    y_ptr: tl.tensor,  # [B, N, 1, H, d]
    q_stride: tl.tensor,
    k_stride: tl.tensor,
    v_stride: tl.tensor,
    tokens: tl.tensor,
    heads: tl.tensor,
    window: tl.tensor,
    scale: tl.tensor,
    DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_W: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    i, w = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_W)
    used = i < DIM
    position = tl.load(position_ptr + token // tokens).to(tl.int64)
    length = tl.load(length_ptr + token // tokens).to(tl.int32)
    live = used & (i * 0 + length > 0)
    at = (position % window).to(tl.int32)  # the new frame's cell
    count = tl.where(length > 0, tl.minimum(position + 1, window), 0).to(tl.int32)  # cells written, with the new one
    q = tl.load(q_ptr + token * q_stride + head * DIM + i, mask=live, other=0.0).to(tl.float32) * scale
    new_k = tl.load(k_ptr + token * k_stride + head * DIM + i, mask=live, other=0.0)
    new_v = tl.load(v_ptr + token * v_stride + head * DIM + i, mask=live, other=0.0)
    ring = (token * heads + head) * window * DIM
    top = float("-inf")
    mass = 0.0
    acc = tl.zeros((BLOCK_D,), tl.float32)
    for start in range(0, count, BLOCK_W):
        cell = start + w
        there = cell < count
        old = there & (cell != at)  # nobody reads the cell that is written below
        seen = old[:, None] & used[None, :]
        k = tl.load(key_ptr + ring + cell[:, None] * DIM + i[None, :], mask=seen, other=0.0)
        v = tl.load(value_ptr + ring + cell[:, None] * DIM + i[None, :], mask=seen, other=0.0)
        k = tl.where(old[:, None], k.to(tl.float32), new_k.to(tl.float32)[None, :])
        v = tl.where(old[:, None], v.to(tl.float32), new_v.to(tl.float32)[None, :])
        age = tl.where(cell <= at, at - cell, at - cell + window)
        bias = tl.load(distance_ptr + head * window + age, mask=there, other=float("-inf")).to(tl.float32)
        scores = tl.sum(q[None, :] * k, 1) + bias
        higher = tl.maximum(top, tl.max(scores, 0))
        weight = tl.exp(scores - higher)
        shrink = tl.exp(top - higher)
        mass = mass * shrink + tl.sum(weight, 0)
        acc = acc * shrink + tl.sum(weight[:, None] * v, 0)
        top = higher
    y = acc / tl.where(length > 0, mass, 1.0)
    tl.store(y_ptr + (token * heads + head) * DIM + i, y.to(y_ptr.dtype.element_ty), mask=used)
    tl.store(key_ptr + ring + at * DIM + i, new_k.to(key_ptr.dtype.element_ty), mask=live)
    tl.store(value_ptr + ring + at * DIM + i, new_v.to(value_ptr.dtype.element_ty), mask=live)


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
