"""All codes of a frame: the whole chain of dependent steps of a depth transformer in one call. Knows one frame.

Places are emitted step by step as a plan says; the places of a step do not depend on each other. For each step:

    logits = depth_step(known[places] + fed latents · feedᵀ, ...)
    code   = sample(logits),  or as forced
    vector = table[code] · scale,  or, soft, Σ_k softmax(logits)_k · table[k] · scale
    latent[emits] += vector

Knows places, books and rows of latents; knows nothing of stems or time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.depth_step import DepthWeights, depth_step
from kernels.reference.sample import sample


class DepthPlan(NamedTuple):
    """In which order L places are emitted, and what they may see and are fed. Axes [L] are in that order."""

    books: tuple[tuple[int, ...], ...]  # of every step: codebook of each of its places, rising or all the same
    place: Tensor  # [L] int64: where a place's code goes
    rank: Tensor  # [L] int64: its inverse
    book: Tensor  # [L] int64
    fed: Tensor  # [L, 2] int64: rows of the latents that a place is fed
    emits: Tensor  # [L] int64: row of the latents to which a code's vector is added
    scale: Tensor  # [L] int64: which of the scales
    counter: Tensor  # [L] int64: the place's number as `sample` counts it
    bias: Tensor  # [L, L] additive mask, 0 or -inf
    latents: int  # rows of latents


class Choice(NamedTuple):
    """How codes are chosen: see ``sample``; ``soft``: later places see the posterior mean, not the code."""

    temperature: float = 0.0
    top_k: int = 0
    soft: bool = False


class Emitted(NamedTuple):
    """Of N frames."""

    codes: Tensor  # [N, L] int64
    logits: Tensor  # [N, L, K]


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
    """Emit the codes of N frames.

    Args:
        weights: see :class:`DepthWeights`; heads: of its attention.
        vectors: ``[Q, K, C]`` code tables; scale: ``[2]``.
        plan: see :class:`DepthPlan`.
        known: ``[N, L, D]``, what each place knows before the frame begins.
        choice: see :class:`Choice`.
        seed, frame: ``[N]`` int64, needed when temperature > 0.
        forced: ``[N, L]`` int64 codes to emit instead of chosen ones.
    """
    count, places, dim = known.shape
    past = known.new_empty(len(weights.layers), 2, count, places, heads, dim // heads)
    latent = known.new_zeros(count, plan.latents, vectors.shape[-1])
    flat, size = vectors.flatten(0, 1), vectors.shape[1]
    codes: list[Tensor] = []
    all_logits: list[Tensor] = []
    filled = 0
    for books in plan.books:
        step = slice(filled, filled + len(books))
        fed = latent.index_select(1, plan.fed[step].flatten()).view(count, len(books), -1)
        rows = known.index_select(1, plan.place[step])
        logits = depth_step(weights, rows, fed, books, past, filled, plan.bias[step, : step.stop])
        if forced is None:
            chosen = sample(logits, choice.temperature, choice.top_k, seed, frame, plan.counter[step])
        else:
            chosen = forced.index_select(1, plan.place[step])
        if choice.soft:
            vector = torch.einsum("nrk,rkc->nrc", logits.softmax(-1), vectors.index_select(0, plan.book[step]))
        else:
            vector = torch.nn.functional.embedding(chosen + plan.book[step] * size, flat)
        latent.index_add_(1, plan.emits[step], vector * scale[plan.scale[step]].unsqueeze(1))
        codes.append(chosen)
        all_logits.append(logits)
        filled = step.stop
    return Emitted(torch.cat(codes, 1).index_select(1, plan.rank), torch.cat(all_logits, 1).index_select(1, plan.rank))


def cases() -> list[Case]:
    sizes = {"places": 16, "steps": 7, "dim": 192, "hidden": 320, "layers": 2, "codes": 512, "width": 64}
    return [Case("tiny, one stream", {"frames": 1, **sizes}), Case("tiny, 64 streams", {"frames": 64, **sizes})]


def cost(frames: int, places: int, steps: int, dim: int, hidden: int, layers: int, codes: int, width: int) -> Cost:
    """Every weight is read once; four stems share a codebook's head, its table and what is fed of it."""
    weights = layers * (4 * dim * dim + 3 * dim * hidden)
    own = codes * dim + codes * width + 2 * width * dim
    attention = layers * (places + 1) * dim  # on average half of the places, keys and values
    return Cost(flops=2 * frames * places * (weights + own + attention), bytes=4 * (weights + places // 4 * own))
