"""Logits, codes and latents of one place of each stream, in Triton. Knows tiles; knows no layers.

Of the rows [ROWS] only those that are ``mine`` mean anything here: the same place of each stream, so one codebook.
"""

from __future__ import annotations

import triton
import triton.language as tl

from kernels.triton.depth_layer import normed, rows_of
from kernels.triton.sample import draw, uniform


@triton.jit
def emit(
    x: tl.tensor,  # [ROWS, BLOCK_D] float32
    weights: tl.tuple,  # DepthHeads
    vectors_ptr: tl.tensor,  # [Q, K, C]
    book: tl.tensor,
    logits_ptr: tl.tensor,  # [N, L, K]
    line: tl.tensor,  # [ROWS] int64: row of the logits
    mine: tl.tensor,  # [ROWS]
    size: tl.tensor,
    eps: tl.tensor,
    FULL: tl.constexpr,
    SOFT: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> tl.tensor:
    """Store the logits; give the likeliest codes [ROWS] and, if SOFT, the posterior's mean vectors [ROWS, BLOCK_C]."""
    norm_ptr, head_ptr, low_ptr, tied_ptr, scale_ptr, bias_ptr = weights
    kind = head_ptr.dtype.element_ty
    c = tl.arange(0, BLOCK_C)
    y = normed(x, norm_ptr, eps, kind, DIM, BLOCK_D)
    low = tl.zeros((ROWS, BLOCK_C), tl.float32)
    if book >= FULL:
        turned = rows_of(low_ptr + (book - FULL) * WIDTH * DIM, c, c < WIDTH, DIM, BLOCK_D)
        low = tl.dot(y, turned, input_precision="ieee") * tl.load(scale_ptr).to(tl.float32)
    top = tl.full((ROWS,), float("-inf"), tl.float32)
    code = tl.zeros((ROWS,), tl.int64)
    mass = tl.zeros((ROWS,), tl.float32)
    mean = tl.zeros((ROWS, BLOCK_C), tl.float32)
    for start in range(0, size, BLOCK_K):
        k = start + tl.arange(0, BLOCK_K)
        there = k < size
        if book < FULL:
            head = rows_of(head_ptr + book * size * DIM, k, there, DIM, BLOCK_D)
            tile = tl.dot(y, head, input_precision="ieee")
        else:
            tied = rows_of(tied_ptr + (book - FULL) * size * WIDTH, k, there, WIDTH, BLOCK_C)
            tile = tl.dot(low.to(kind), tied, input_precision="ieee")
        tile += tl.load(bias_ptr + book * size + k, mask=there, other=0.0).to(tl.float32)[None, :]
        stored = tile.to(logits_ptr.dtype.element_ty)
        tl.store(logits_ptr + line[:, None] * size + k[None, :], stored, mask=mine[:, None] & there[None, :])
        tile = tl.where(there[None, :], stored.to(tl.float32), float("-inf"))
        higher = tl.max(tile, 1)
        first = tl.min(tl.where(tile == higher[:, None], k[None, :], size), 1)
        code = tl.where(higher > top, first.to(tl.int64), code)
        if SOFT:
            best = tl.maximum(top, higher)
            weight = tl.exp(tile - best[:, None])
            shrink = tl.exp(top - best)
            cells = (book * size + k)[:, None] * WIDTH + c[None, :]
            table = tl.load(vectors_ptr + cells, mask=there[:, None] & (c < WIDTH)[None, :], other=0.0)
            mass = mass * shrink + tl.sum(weight, 1)
            product = tl.dot(weight.to(kind), table.to(kind), input_precision="ieee")
            mean = mean * shrink[:, None] + product
        top = tl.maximum(top, higher)
    if SOFT:
        mean = mean / mass[:, None]
    return code, mean


@triton.jit
def add_vectors(
    code: tl.tensor,  # [ROWS] int64, the likeliest
    mean: tl.tensor,  # [ROWS, BLOCK_C]
    mine: tl.tensor,
    book: tl.tensor,
    at: tl.tensor,  # of the place, in the order of the plan
    place: tl.tensor,  # [ROWS], the same for all that are mine
    stream: tl.tensor,  # [ROWS] int64
    vectors_ptr: tl.tensor,
    scales_ptr: tl.tensor,
    emits_ptr: tl.tensor,
    scale_ptr: tl.tensor,
    counter_ptr: tl.tensor,
    seed_ptr: tl.tensor,
    frame_ptr: tl.tensor,
    forced_ptr: tl.tensor,
    logits_ptr: tl.tensor,
    latent_ptr: tl.tensor,  # [N, latents, C] float32
    frames: tl.tensor,
    places: tl.tensor,
    latents: tl.tensor,
    size: tl.tensor,
    temperature: tl.tensor,
    SOFT: tl.constexpr,
    FORCED: tl.constexpr,
    DRAWN: tl.constexpr,
    TOP_K: tl.constexpr,
    WIDTH: tl.constexpr,
    STREAMS: tl.constexpr,
    AT_ONCE: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_CODES: tl.constexpr,
) -> tl.tensor:
    """The codes that the place emits, [ROWS]; what they, or the means, stand for is added to the latents."""
    c = tl.arange(0, BLOCK_C)
    if FORCED:
        code = tl.load(forced_ptr + stream * places + place, mask=mine, other=0)
    if DRAWN:
        tl.debug_barrier()  # the logits were stored tile by tile
        where = tl.max(tl.where(mine, place, 0), 0)
        k = tl.arange(0, BLOCK_CODES)
        for s in range(STREAMS):
            n = tl.minimum(tl.program_id(0).to(tl.int64) * STREAMS + s, frames - 1)
            row = tl.load(logits_ptr + (n * places + where) * size + k, mask=k < size, other=float("-inf"))
            row = row.to(tl.float32)
            seed, frame = tl.load(seed_ptr + n), tl.load(frame_ptr + n)
            u = uniform(seed, frame, tl.load(counter_ptr + at))
            drawn = draw(row, size, temperature, u, TOP_K, BLOCK_CODES)
            code = tl.where(stream == n, drawn.to(tl.int64), code)
    if SOFT:
        vector = mean
    else:
        entry = (book * size + code)[:, None] * WIDTH + c[None, :]
        vector = tl.load(vectors_ptr + entry, mask=mine[:, None] & (c < WIDTH)[None, :], other=0.0).to(tl.float32)
    factor = tl.load(scales_ptr + tl.load(scale_ptr + at)).to(tl.float32)
    cells = latent_ptr + (stream * latents + tl.load(emits_ptr + at))[:, None] * WIDTH + c[None, :]
    keep = mine[:, None] & (c < WIDTH)[None, :]
    tl.debug_barrier()
    tl.store(cells, tl.load(cells, mask=keep, other=0.0) + vector * factor, mask=keep)
    tl.debug_barrier()  # the next place, or step, reads them
    return code
