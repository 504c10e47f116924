"""Logits, codes and latents of a step's places, in Triton. Knows tiles; knows no layers."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.depth_decode import Choice, DepthPlan
from kernels.reference.depth_step import DepthHeads
from kernels.reference.rms_norm import EPS
from kernels.triton.launch import block, depth_block
from kernels.triton.sample import draw, uniform
from kernels.triton.tiles import normed_product, row_scale

_MANY = 64  # places: a large GPU has more processors, so that columns of a vector are shared among several
_FEW = 16  # columns: whole sectors of memory
_CELLS = 8192  # of a table, in the registers of a program at once


def store_logits(heads: DepthHeads, plan: DepthPlan, x: Tensor, logits: Tensor, filled: int) -> None:
    """Logits [N, L, K] of the step's rows x [R, N, D]."""
    count, frames, dim = x.shape
    places, size = logits.shape[1:]
    width = heads.vectors.shape[2]
    block_m, block_k = block(frames, most=32), block(size, most=32)
    _logits[(triton.cdiv(frames, block_m), count, triton.cdiv(size, block_k))](
        x, *(w.contiguous() for w in heads), plan.place, plan.book, logits, filled, frames, places, dim, size, EPS,
        FULL=heads.head.shape[0], WIDTH=width, BLOCK_M=block_m, BLOCK_D=depth_block(x, block_m), BLOCK_C=block(width),
        BLOCK_K=block_k,
    )  # fmt: skip


def choose(
    choice: Choice,
    vectors: Tensor,
    scale: Tensor,
    plan: DepthPlan,
    logits: Tensor,
    codes: Tensor,
    latents: Tensor,
    filled: int,
    count: int,
    drawn: tuple[Tensor, Tensor] | None,
    forced: Tensor | None,
) -> None:
    """The codes [N, L] that the step's ``count`` places emit; what they, or the means, stand for is added to the
    latents. ``drawn``: seeds and frames, when codes are drawn.
    """
    frames, places, size = logits.shape
    width = vectors.shape[2]
    block_c = block(min(width, _FEW) if frames * count <= _MANY else width)
    _choose[(frames, count, triton.cdiv(width, block_c))](
        logits, vectors, scale.contiguous(), plan.place, plan.book, plan.emits, plan.scale, plan.counter,
        *(drawn or (codes, codes)), codes if forced is None else forced, codes, latents, filled, places, plan.latents,
        size, float(choice.temperature), SOFT=choice.soft, FORCED=forced is not None, DRAWN=drawn is not None,
        TOP_K=choice.top_k if 0 < choice.top_k < size else 0, WIDTH=width, BLOCK_C=block_c,
        BLOCK_K=block(size, most=_CELLS // block_c), BLOCK_CODES=block(size), num_warps=8,
    )  # fmt: skip


@triton.jit(do_not_specialize=["filled"])
def _logits(
    x_ptr: tl.tensor,  # [R, N, D]
    norm_ptr: tl.tensor,  # [D]
    head_ptr: tl.tensor,  # [FULL, K, D]
    low_ptr: tl.tensor,  # [Q - FULL, C, D]
    tied_ptr: tl.tensor,  # [Q - FULL, K, C]
    scale_ptr: tl.tensor,  # [1]
    bias_ptr: tl.tensor,  # [Q, K]
    place_ptr: tl.tensor,  # [L]
    book_ptr: tl.tensor,  # [L]
    logits_ptr: tl.tensor,  # [N, L, K]
    filled: tl.tensor,
    frames: tl.tensor,
    places: tl.tensor,
    dim: tl.tensor,
    size: tl.tensor,
    eps: tl.tensor,
    FULL: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    r = tl.program_id(1).to(tl.int64)
    n = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    k = tl.program_id(2).to(tl.int64) * BLOCK_K + tl.arange(0, BLOCK_K)
    inside, wanted = n < frames, k < size
    book, row = tl.load(book_ptr + filled + r), r * frames + n
    scale = row_scale(x_ptr, row, inside, dim, eps, BLOCK_M)
    if book < FULL:
        own_ptr = head_ptr + book * size * dim
        tile = normed_product(x_ptr, norm_ptr, own_ptr, row, inside, scale, k, wanted, dim, BLOCK_M, BLOCK_K, BLOCK_D)
    else:
        c = tl.arange(0, BLOCK_C)
        used = c < WIDTH
        own_ptr = low_ptr + (book - FULL) * WIDTH * dim
        low = normed_product(x_ptr, norm_ptr, own_ptr, row, inside, scale, c, used, dim, BLOCK_M, BLOCK_C, BLOCK_D)
        low *= tl.load(scale_ptr).to(tl.float32)
        cell = ((book - FULL) * size + k)[None, :] * WIDTH + c[:, None]
        tied = tl.load(tied_ptr + cell, mask=used[:, None] & wanted[None, :], other=0.0)
        tile = tl.dot(low.to(tied.dtype), tied, input_precision="ieee")
    tile += tl.load(bias_ptr + book * size + k, mask=wanted, other=0.0).to(tl.float32)[None, :]
    cell = (n * places + tl.load(place_ptr + filled + r))[:, None] * size + k[None, :]
    tl.store(logits_ptr + cell, tile.to(logits_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])


@triton.jit(do_not_specialize=["filled"])
def _choose(
    logits_ptr: tl.tensor,  # [N, L, K]
    vectors_ptr: tl.tensor,  # [Q, K, C]
    scales_ptr: tl.tensor,  # [2]
    place_ptr: tl.tensor,  # [L], as the next four
    book_ptr: tl.tensor,
    emits_ptr: tl.tensor,
    scale_ptr: tl.tensor,
    counter_ptr: tl.tensor,
    seed_ptr: tl.tensor,  # [N], read when DRAWN
    frame_ptr: tl.tensor,
    forced_ptr: tl.tensor,  # [N, L], read when FORCED
    codes_ptr: tl.tensor,  # [N, L]
    latent_ptr: tl.tensor,  # [N, latents, C] float32
    filled: tl.tensor,
    places: tl.tensor,
    latents: tl.tensor,
    size: tl.tensor,
    temperature: tl.tensor,
    SOFT: tl.constexpr,
    FORCED: tl.constexpr,
    DRAWN: tl.constexpr,
    TOP_K: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_CODES: tl.constexpr,
) -> None:
    """One place of one stream; of its vector, some columns. Each program of a place finds the code itself."""
    n, at = tl.program_id(0).to(tl.int64), filled + tl.program_id(1)
    book, line = tl.load(book_ptr + at), n * places + tl.load(place_ptr + at)
    k, c = tl.arange(0, BLOCK_CODES), tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
    row = tl.load(logits_ptr + line * size + k, mask=k < size, other=float("-inf")).to(tl.float32)
    top = tl.max(row, 0)
    if FORCED:
        code = tl.load(forced_ptr + line)
    elif DRAWN:
        u = uniform(tl.load(seed_ptr + n), tl.load(frame_ptr + n), tl.load(counter_ptr + at))
        code = draw(row, size, temperature, u, TOP_K, BLOCK_CODES).to(tl.int64)
    else:
        code = tl.minimum(tl.min(tl.where(row == top, k, size), 0), size - 1).to(tl.int64)  # of NaN some code, too
    tl.store(codes_ptr + line, code)
    table_ptr = vectors_ptr + book * size * WIDTH
    if SOFT:
        total = tl.zeros((BLOCK_C,), tl.float32)
        for start in range(0, size, BLOCK_K):
            i = start + tl.arange(0, BLOCK_K)
            logit = tl.load(logits_ptr + line * size + i, mask=i < size, other=float("-inf")).to(tl.float32)
            cell = i[:, None] * WIDTH + c[None, :]
            table = tl.load(table_ptr + cell, mask=(i < size)[:, None] & (c < WIDTH)[None, :], other=0.0)
            total += tl.sum(tl.exp(logit - top)[:, None] * table.to(tl.float32), 0)
        vector = total / tl.sum(tl.exp(row - top), 0)
    else:
        vector = tl.load(table_ptr + code * WIDTH + c, mask=c < WIDTH, other=0.0).to(tl.float32)
    factor = tl.load(scales_ptr + tl.load(scale_ptr + at)).to(tl.float32)
    cell = (n * latents + tl.load(emits_ptr + at)) * WIDTH + c
    # Places of a step may add to the same row; those of a model's orders never do, so no sum's order is left to chance.
    tl.atomic_add(latent_ptr + cell, vector * factor, mask=c < WIDTH, sem="relaxed")
