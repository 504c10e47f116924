"""All codes of a frame in one Triton kernel. Contract and formula: `kernels.reference.depth_decode`.

program (a few streams)      rows of its products = its streams × the places of a step, at least 16

    for each step:  fed latents ─► layers ─► heads, tile by tile ─► codes ─► latents

A step waits for the one before, so a program keeps its streams for the whole frame: no launch and no host in between.
Keys, values and latents lie in scratch memory that only their own program touches; a barrier stands between those who
write and those who read. Every weight is read once a step by each program.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.depth_decode import Choice, DepthPlan, Emitted
from kernels.reference.depth_step import DepthWeights
from kernels.reference.rms_norm import EPS
from kernels.triton.depth_heads import add_vectors, emit
from kernels.triton.depth_layer import fed_rows, layer
from kernels.triton.launch import block, check

_ROWS = 16  # that a matrix product needs at least


def depth_decode(
    weights: DepthWeights,
    heads: int,
    vectors: Tensor,
    scale: Tensor,
    plan: DepthPlan,
    known: Tensor,
    choice: Choice,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    forced: Tensor | None = None,
) -> Emitted:
    """As :func:`kernels.reference.depth_decode`; no gradients. Sums of latents are float32 in every precision.

    Raises TypeError for other precisions or a CPU, ValueError for temperature > 0 without a seed.
    """
    check("depth_decode", (known, vectors, weights.feed))
    if choice.temperature > 0 and forced is None and (seed is None or frame is None):
        raise ValueError("sampling with temperature > 0 needs a seed for every slot")
    frames, places, dim = known.shape
    size, width = vectors.shape[1:]
    at_once = block(max(len(books) for books in plan.books), least=1)
    streams = max(1, _ROWS // at_once)
    codes = torch.empty(frames, places, dtype=torch.int64, device=known.device)
    logits = known.new_empty(frames, places, size)
    indices = plan.place, plan.book, plan.fed, plan.emits, plan.scale, plan.counter
    drawn = choice.temperature > 0 and forced is None
    _chain[(triton.cdiv(frames, streams),)](
        weights.feed.contiguous(),
        tuple(tuple(w.contiguous() for w in each) for each in weights.layers),
        tuple(w.contiguous() for w in weights.heads),
        vectors.contiguous(),
        scale.contiguous(),
        _ends(plan.books, known.device),
        tuple(each.contiguous() for each in indices),
        plan.bias.contiguous(),
        known.contiguous(),
        seed.contiguous() if drawn and seed is not None else codes,
        frame.contiguous() if drawn and frame is not None else codes,
        codes if forced is None else forced.contiguous(),
        known.new_empty(len(weights.layers), 2, frames, places, dim),
        torch.zeros(frames, plan.latents, width, dtype=torch.float32, device=known.device),
        codes,
        logits,
        frames * places * dim,
        len(plan.books),
        frames,
        places,
        plan.latents,
        size,
        float(choice.temperature),
        EPS,
        FULL=weights.heads.head.shape[0],
        SOFT=choice.soft,
        FORCED=forced is not None,
        DRAWN=drawn,
        TOP_K=choice.top_k if 0 < choice.top_k < size else 0,
        LAYERS=len(weights.layers),
        HEADS=heads,
        DIM=dim,
        HIDDEN=weights.layers[0].down.shape[1],
        WIDTH=width,
        STREAMS=streams,
        AT_ONCE=at_once,
        ROWS=streams * at_once,
        BLOCK_D=block(dim),
        BLOCK_H=block(dim // heads),
        BLOCK_L=block(places),
        BLOCK_C=block(width),
        BLOCK_K=block(size, most=32),
        BLOCK_CODES=block(size),
        num_warps=8,
        num_stages=3 if known.element_size() == 2 else 1,  # of a pipeline; its tiles must fit into shared memory
    )
    return Emitted(codes, logits)


@lru_cache(maxsize=64)
def _ends(books: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """[steps]: places emitted after each step. Kept, so that a captured call copies nothing to the device."""
    with torch.inference_mode(False):
        return torch.tensor([len(each) for each in books], device=device).cumsum(0)


@triton.jit
def _chain(
    feed_ptr: tl.tensor,  # [Q, D, 2·C]
    layers: tl.tuple,  # LAYERS tuples of LayerWeights
    head_weights: tl.tuple,  # DepthHeads
    vectors_ptr: tl.tensor,  # [Q, K, C]
    scales_ptr: tl.tensor,  # [2]
    ends_ptr: tl.tensor,  # [steps]
    indices: tl.tuple,  # DepthPlan's place, book, fed, emits, scale and counter, [L] each
    bias_ptr: tl.tensor,  # [L, L]
    known_ptr: tl.tensor,  # [N, L, D]
    seed_ptr: tl.tensor,  # [N], read when DRAWN
    frame_ptr: tl.tensor,
    forced_ptr: tl.tensor,  # [N, L], read when FORCED
    past_ptr: tl.tensor,  # [LAYERS, 2, N, L, D] scratch
    latent_ptr: tl.tensor,  # [N, latents, C] float32, zeros
    codes_ptr: tl.tensor,  # [N, L]
    logits_ptr: tl.tensor,  # [N, L, K]
    apart: tl.tensor,  # numbers between a layer's keys and its values
    steps: tl.tensor,
    frames: tl.tensor,
    places: tl.tensor,
    latents: tl.tensor,
    size: tl.tensor,
    temperature: tl.tensor,
    eps: tl.tensor,
    FULL: tl.constexpr,
    SOFT: tl.constexpr,
    FORCED: tl.constexpr,
    DRAWN: tl.constexpr,
    TOP_K: tl.constexpr,
    LAYERS: tl.constexpr,
    HEADS: tl.constexpr,
    DIM: tl.constexpr,
    HIDDEN: tl.constexpr,
    WIDTH: tl.constexpr,
    STREAMS: tl.constexpr,
    AT_ONCE: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_L: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_CODES: tl.constexpr,
) -> None:
    place_ptr, book_ptr, fed_ptr, emits_ptr, scale_ptr, counter_ptr = indices
    row = tl.arange(0, ROWS)
    within = row % AT_ONCE  # place of the step
    stream = tl.program_id(0).to(tl.int64) * STREAMS + row // AT_ONCE
    i = tl.arange(0, BLOCK_D)
    filled = tl.load(ends_ptr) * 0
    for step in range(steps):
        end = tl.load(ends_ptr + step)
        at = filled + within  # in the order of the plan
        live = (stream < frames) & (at < end)
        place = tl.load(place_ptr + at, mask=live, other=0)
        cells = (stream * places + place)[:, None] * DIM + i[None, :]
        x = tl.load(known_ptr + cells, mask=live[:, None] & (i < DIM)[None, :], other=0.0)
        x = x.to(tl.float32) + fed_rows(
            feed_ptr, book_ptr, fed_ptr, latent_ptr, stream, at, live, filled, end, latents,
            DIM, WIDTH, ROWS, BLOCK_D, BLOCK_C,
        )  # fmt: skip
        for n in tl.static_range(LAYERS):
            x = layer(
                x, layers[n], past_ptr + 2 * n * apart, apart, bias_ptr, stream, at, live, end, frames, places, eps,
                HEADS, DIM, HIDDEN, STREAMS, AT_ONCE, ROWS, BLOCK_D, BLOCK_H, BLOCK_L,
            )  # fmt: skip
        for r in range(end - filled):
            mine = live & (within == r)
            book = tl.load(book_ptr + filled + r)
            code, mean = emit(
                x, head_weights, vectors_ptr, book, logits_ptr, stream * places + place, mine, size, eps,
                FULL, SOFT, DIM, WIDTH, ROWS, BLOCK_D, BLOCK_C, BLOCK_K,
            )  # fmt: skip
            code = add_vectors(
                code, mean, mine, book, filled + r, place, stream, vectors_ptr, scales_ptr, emits_ptr, scale_ptr,
                counter_ptr, seed_ptr, frame_ptr, forced_ptr, logits_ptr, latent_ptr, frames, places, latents, size,
                temperature, SOFT, FORCED, DRAWN, TOP_K, WIDTH, STREAMS, AT_ONCE, ROWS, BLOCK_C, BLOCK_CODES,
            )  # fmt: skip
            tl.store(codes_ptr + stream * places + place, code, mask=mine)
        filled = end
