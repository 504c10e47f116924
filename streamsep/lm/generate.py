"""Emit the codes of a frame with the depth transformer, step by step. Knows one frame, not its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference import depth_step
from streamsep.config import STEMS
from streamsep.lm.depth import DepthTransformer
from streamsep.lm.plan import Step
from streamsep.lm.sampling import GREEDY, Decoding, choose, uniform

DepthStep = Callable[..., Tensor]


@dataclass(frozen=True)
class Frame:
    """The emitted codes of N frames."""

    codes: Tensor  # [N, S, q] int64
    latent: Tensor  # [N, S, C]: sum of the posterior-mean vectors of the semantic codebooks
    entropy: Tensor  # [N, S]: mean over the semantic codebooks, nats
    logits: Tensor  # [N, S, q, K]


@torch.no_grad()
def generate(
    depth: DepthTransformer,
    h: Tensor,
    guide: Tensor | None,
    decoding: Decoding = GREEDY,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    forced: Tensor | None = None,
    kernel: DepthStep = depth_step,
) -> Frame:
    """Emit the codes of N frames.

    Args:
        h: ``[N, D]``; guide: ``[N, S, 240]`` or None.
        decoding: how codes are chosen, see :class:`Decoding`.
        seed, frame: ``[N]`` int64, of the slot and its position; needed when temperature > 0.
        forced: ``[N, S, q]`` codes to emit instead of the chosen ones.
        kernel: implementation of ``kernels.reference.depth_step``.
    """
    count, stems = h.shape[0], len(STEMS)
    codebooks = decoding.codebooks or depth.semantic
    plan, weights = depth.plan(codebooks, h.device), depth.weights()
    known = (depth.frame(h, guide).unsqueeze(2) + depth.place[:, :codebooks]).flatten(1, 2)  # [N, S·q, D]
    latent = known.new_zeros(count, 2 * (stems + 1), depth.tables.vectors.shape[-1])
    attention = depth.blocks[0].attention
    past = known.new_empty(len(depth.blocks), 2, count, stems * codebooks, attention.heads, attention.head_dim)
    flat = None if forced is None else forced.flatten(1)
    all_codes: list[Tensor] = []
    all_logits: list[Tensor] = []
    filled = 0
    for step in plan.steps:
        fed = latent.index_select(1, step.fed).view(count, len(step.books), -1)
        rows = known.index_select(1, step.places)
        logits = kernel(weights, rows, fed, step.books, past, filled, step.bias)
        if flat is None:
            codes = choose(logits, decoding, _noise(step, seed, frame))
        else:
            codes = flat.index_select(1, step.places)
        latent.index_add_(1, step.emits, _vectors(depth, step, codes, logits, decoding))
        all_codes.append(codes)
        all_logits.append(logits)
        filled += len(step.books)
    shape = (stems, codebooks)
    codes = torch.cat(all_codes, 1).index_select(1, plan.rank).unflatten(1, shape)
    logits = torch.cat(all_logits, 1).index_select(1, plan.rank).unflatten(1, shape)
    return Frame(codes, *_posterior(depth, logits[:, :, : depth.semantic]), logits)


def _noise(step: Step, seed: Tensor | None, frame: Tensor | None) -> Tensor | None:
    if seed is None or frame is None:
        return None
    return uniform(seed.unsqueeze(1), frame.unsqueeze(1), step.stem, torch.tensor(step.books, device=seed.device))


def _vectors(depth: DepthTransformer, step: Step, codes: Tensor, logits: Tensor, decoding: Decoding) -> Tensor:
    """``[N, R, C]``, unit scale: what later places of the frame get to see of the chosen codes."""
    tables = depth.tables
    if decoding.within == "soft":
        vectors = torch.einsum("nrk,rkc->nrc", logits.softmax(-1), tables.vectors[list(step.books)])
    else:
        vectors = torch.nn.functional.embedding(codes + step.table, tables.vectors.flatten(0, 1))
    return vectors * tables.scale[step.scale].unsqueeze(1)


def _posterior(depth: DepthTransformer, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Semantic latent ``[N, S, C]`` and mean entropy ``[N, S]`` of semantic logits ``[N, S, q, K]``.

    ``softmax_mean`` of every codebook, summed: one product with the stacked code tables.
    """
    log_p = logits.float().log_softmax(-1)
    p = log_p.exp()
    latent = p.flatten(2) @ depth.tables.vectors[: logits.shape[2]].flatten(0, 1)
    return latent, -(p * log_p).sum(-1).mean(-1)
