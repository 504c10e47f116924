"""A step's rows through what is fed and one layer of a depth transformer, in Triton. Knows tiles; knows no codes.

Rows of a step are [R, N, D], place by place: those of a place share its codebook.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.depth_decode import DepthPlan
from kernels.reference.layer import LayerWeights
from kernels.reference.rms_norm import EPS
from kernels.triton.launch import block, depth_block, tile
from kernels.triton.linear_residual import linear_residual
from kernels.triton.norm_swiglu import norm_swiglu
from kernels.triton.tiles import add_exactly, normed_product, row_scale


def enter(feed: Tensor, plan: DepthPlan, known: Tensor, latents: Tensor, filled: int, count: int) -> Tensor:
    """known + fed latents · feed[book]ᵀ of the ``count`` places after ``filled``, [R, N, D]."""
    frames, places, dim = known.shape
    x = known.new_empty(count, frames, dim)
    block_m, block_n = tile(frames, dim)
    _enter[(triton.cdiv(frames, block_m), count, triton.cdiv(dim, block_n))](
        known, feed.contiguous(), latents, plan.place, plan.book, plan.fed, x, filled, frames, places, plan.latents,
        dim, WIDTH=latents.shape[2], BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=depth_block(feed, block_m),
    )  # fmt: skip
    return x


def layer_step(layer: LayerWeights, heads: int, x: Tensor, past: Tensor, bias: Tensor, filled: int) -> Tensor:
    """x [R, N, D] after attention and MLP; ``past`` [N, L, 3, D] keeps queries, keys and values of the rows."""
    count, frames, dim = x.shape
    places, rows = past.shape[1], count * frames
    block_m, block_n = tile(rows, 3 * dim)
    _project[(triton.cdiv(rows, block_m), triton.cdiv(3 * dim, block_n))](
        x, layer.attention_norm.contiguous(), layer.qkv.contiguous(), past, filled, rows, frames, places, dim, EPS,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=depth_block(x, block_m),
    )  # fmt: skip
    mixed = torch.empty_like(x)
    _attend[(frames, heads, count)](
        past, bias.contiguous(), mixed, filled, filled + count, frames, places,
        DIM=dim, HEAD=dim // heads, BLOCK_H=block(dim // heads), BLOCK_L=block(places),
    )  # fmt: skip
    x = linear_residual(mixed, layer.out, x)
    return linear_residual(norm_swiglu(x, layer.mlp_norm, layer.gate_up), layer.down, x)


@triton.jit(do_not_specialize=["filled"])
def _enter(
    known_ptr: tl.tensor,  # [N, L, D]
    feed_ptr: tl.tensor,  # [Q, D, 2·C]
    latent_ptr: tl.tensor,  # [N, latents, C] float32
    place_ptr: tl.tensor,  # [L]
    book_ptr: tl.tensor,  # [L]
    fed_ptr: tl.tensor,  # [L, 2]
    x_ptr: tl.tensor,  # [R, N, D]
    filled: tl.tensor,
    frames: tl.tensor,
    places: tl.tensor,
    latents: tl.tensor,
    dim: tl.tensor,
    WIDTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    r = tl.program_id(1).to(tl.int64)
    at = filled + r
    n = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(2).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = n < frames, out < dim
    feed = feed_ptr + tl.load(book_ptr + at) * dim * (2 * WIDTH)
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    lost = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, 2 * WIDTH, BLOCK_K):
        i = start + tl.arange(0, BLOCK_K)  # of the place's own latent, then of its neighbour's
        there = i < 2 * WIDTH
        entry = tl.load(fed_ptr + at * 2 + i // WIDTH, mask=there, other=0)
        cell = (n[:, None] * latents + entry[None, :]) * WIDTH + (i % WIDTH)[None, :]
        latent = tl.load(latent_ptr + cell, mask=inside[:, None] & there[None, :], other=0.0)
        weight = tl.load(feed + out[None, :] * (2 * WIDTH) + i[:, None], mask=there[:, None] & wanted, other=0.0)
        acc, lost = add_exactly(acc, lost, tl.dot(latent.to(weight.dtype), weight, input_precision="ieee"))
    keep = inside[:, None] & wanted[None, :]
    row = n * places + tl.load(place_ptr + at)
    acc += tl.load(known_ptr + row[:, None] * dim + out[None, :], mask=keep, other=0.0).to(tl.float32)
    tl.store(x_ptr + (r * frames + n)[:, None] * dim + out[None, :], acc.to(x_ptr.dtype.element_ty), mask=keep)


@triton.jit(do_not_specialize=["filled"])
def _project(
    x_ptr: tl.tensor,  # [R·N, D]
    norm_ptr: tl.tensor,  # [D]
    qkv_ptr: tl.tensor,  # [3·D, D]
    past_ptr: tl.tensor,  # [N, L, 3, D]
    filled: tl.tensor,
    rows: tl.tensor,
    frames: tl.tensor,
    places: tl.tensor,
    dim: tl.tensor,
    eps: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    out = tl.program_id(1).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted = row < rows, out < 3 * dim
    scale = row_scale(x_ptr, row, inside, dim, eps, BLOCK_M)
    y = normed_product(x_ptr, norm_ptr, qkv_ptr, row, inside, scale, out, wanted, dim, BLOCK_M, BLOCK_N, BLOCK_K)
    cell = (row % frames * places + filled + row // frames)[:, None] * (3 * dim) + out[None, :]
    tl.store(past_ptr + cell, y.to(past_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])


@triton.jit(do_not_specialize=["filled", "end"])
def _attend(
    past_ptr: tl.tensor,  # [N, L, 3, D]
    bias_ptr: tl.tensor,  # [L, L]
    y_ptr: tl.tensor,  # [R, N, D]
    filled: tl.tensor,
    end: tl.tensor,
    frames: tl.tensor,
    places: tl.tensor,
    DIM: tl.constexpr,
    HEAD: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_L: tl.constexpr,
) -> None:
    """One place of one stream, one head, over the places of the stream before ``end``."""
    n, head, r = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    d, u = tl.arange(0, BLOCK_H), tl.arange(0, BLOCK_L)
    used, there = d < HEAD, u < end
    q_ptr = past_ptr + n * places * (3 * DIM) + head * HEAD
    cell = u[:, None] * (3 * DIM) + d[None, :]
    seen = there[:, None] & used[None, :]
    q = tl.load(q_ptr + (filled + r) * (3 * DIM) + d, mask=used, other=0.0).to(tl.float32)
    k = tl.load(q_ptr + DIM + cell, mask=seen, other=0.0).to(tl.float32)
    v = tl.load(q_ptr + 2 * DIM + cell, mask=seen, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + (filled + r) * places + u, mask=there, other=float("-inf")).to(tl.float32)
    scores = tl.sum(q[None, :] * k, 1) * (HEAD**-0.5) + bias
    weight = tl.exp(scores - tl.max(scores, 0))
    mixed = tl.sum((weight / tl.sum(weight, 0))[:, None] * v, 0)
    tl.store(y_ptr + (r * frames + n) * DIM + head * HEAD + d, mixed.to(y_ptr.dtype.element_ty), mask=used)
