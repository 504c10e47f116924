"""Write a segment's codes, one dependent step after the other, with keys and values kept. Knows logits, no sound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference.sample import choose, uniform
from streamsep.lm.sampling import GREEDY, Decoding, counter
from streamsep.paper.lm import Cache, TrackLM

# What a seed means: the defaults of the authors' speech model.
SAMPLED = Decoding(temperature=0.8, top_k=50)


@dataclass(frozen=True)
class Draw:
    """What makes a draw: ``seed`` and ``first``, the segments' first frames in their song, [B] int64 each."""

    seed: Tensor
    first: Tensor


@dataclass(frozen=True)
class Generated:
    """``codes`` [B, T, S, Q] int64; ``means`` [B, T, S, Q, C]: code vectors weighted by their probabilities when each
    was written."""

    codes: Tensor
    means: Tensor


@torch.no_grad()
def generate(lm: TrackLM, mixture: Tensor, decoding: Decoding = GREEDY, draw: Draw | None = None) -> Generated:
    """``mixture`` [B, T, D] embeddings of segments → their codes. ``draw`` is needed unless ``decoding`` is greedy."""
    batch, frames, _ = mixture.shape
    books, _, width = lm.tables.shape
    plan = lm.arrangement(frames, mixture.device)
    cos, sin = lm.rotation(plan)
    heads = lm.blocks[0].attention
    length = plan.bias.shape[0]
    caches = [Cache(batch, length, heads.kv_heads, heads.head_dim, mixture.device) for _ in lm.blocks]

    def run(x: Tensor, first: int, last: int) -> Tensor:
        rows = slice(first, last)
        for block, cache in zip(lm.blocks, caches, strict=True):
            x = block(x, cos[rows], sin[rows], plan.bias[rows, :last], cache)
        return x

    run(mixture, 0, frames)
    stems, steps = plan.place.shape
    codes = torch.full((batch, frames, stems, books), -1, dtype=torch.int64, device=mixture.device)
    means = torch.zeros(batch, frames, stems, books, width, device=mixture.device)
    fed = torch.full((batch, stems, books), -1, dtype=torch.int64, device=mixture.device)
    book = torch.arange(books, device=mixture.device)
    for first, last in plan.cuts:
        stem, step = plan.stem[first:last], plan.step[first:last]
        hidden = run(lm.embed(fed[:, stem], stem, step, mixture), frames + first, frames + last)
        frame = step[:, None] - book  # [R, Q]
        row, column = ((frame >= 0) & (frame < frames)).nonzero(as_tuple=True)
        fed[:, stem] = -1
        if not len(row):
            continue
        logits = lm.logits(hidden.unsqueeze(2).expand(-1, -1, books, -1))[:, row, column]
        when, which = frame[row, column], stem[row]
        chosen = choose(logits, decoding.temperature, decoding.top_k, _numbers(draw, when, which, column))
        codes[:, when, which, column] = chosen
        fed[:, which, column] = chosen
        means[:, when, which, column] = torch.einsum("bnk,nkc->bnc", logits.softmax(-1), lm.tables[column])
    return Generated(codes, means)


def _numbers(draw: Draw | None, frame: Tensor, stem: Tensor, book: Tensor) -> Tensor | None:
    """Uniform numbers of the song's seed, frame, stem and codebook: where segments overlap they draw the same."""
    if draw is None:
        return None
    place = torch.tensor([counter(s, q) for s, q in zip(stem.tolist(), book.tolist(), strict=True)], device=stem.device)
    return uniform(draw.seed[:, None], draw.first[:, None] + frame, place)
