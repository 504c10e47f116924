"""All codes of a frame in a dozen Triton kernels a step. Contract and formula: `kernels.reference.depth_decode`.

for each step:  known + what is fed ─► layers ─► logits, tile by tile ─► codes, and their vectors onto the latents
a layer:        norm, q, k, v ─► attention ─► out + x ─► norm, gate, up, SiLU ─► down + x

Each kernel has a program for every few columns, so that many processors read the weights of one stream at once. One
kernel for the whole frame needs no launches, but one processor then reads 28 MB of weights for each stream or few of
them, and products over a whole row do not fit its registers. In a CUDA graph a launch costs a microsecond or two.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kernels.reference.depth_decode import Choice, DepthPlan, Emitted
from kernels.reference.depth_step import DepthWeights
from kernels.triton.depth_heads import choose, store_logits
from kernels.triton.depth_layer import enter, layer_step
from kernels.triton.launch import check


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
    drawn = None
    if choice.temperature > 0 and forced is None:
        if seed is None or frame is None:
            raise ValueError("sampling with temperature > 0 needs a seed for every slot")
        drawn = seed.contiguous(), frame.contiguous()
    frames, places, dim = known.shape
    size, width = vectors.shape[1:]
    known, vectors = known.contiguous(), vectors.contiguous()
    forced = None if forced is None else forced.contiguous()
    flat: list[Any] = [part.contiguous() if isinstance(part, Tensor) else part for part in plan]
    plan = DepthPlan(*flat)
    past = known.new_empty(len(weights.layers), frames, places, 3, dim)  # queries, too: they come with the rest
    latents = torch.zeros(frames, plan.latents, width, dtype=torch.float32, device=known.device)
    codes = torch.empty(frames, places, dtype=torch.int64, device=known.device)
    logits = known.new_empty(frames, places, size)
    filled = 0
    for books in plan.books:
        x = enter(weights.feed, plan, known, latents, filled, len(books))
        for layer, rows in zip(weights.layers, past, strict=True):
            x = layer_step(layer, heads, x, rows, plan.bias, filled)
        store_logits(weights.heads, plan, x, logits, filled)
        choose(choice, vectors, scale, plan, logits, codes, latents, filled, len(books), drawn, forced)
        filled += len(books)
    return Emitted(codes, logits)
