"""Emit the codes of a frame with the depth transformer, step by step. Knows one frame, not its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference import softmax_mean
from streamsep.config import STEMS
from streamsep.lm.depth import DepthTransformer, Step
from streamsep.lm.sampling import GREEDY, Decoding, choose, uniform


@dataclass(frozen=True)
class Frame:
    """The emitted codes of N frames."""

    codes: Tensor  # [N, S, q] int64
    latent: Tensor  # [N, S, C]: sum of the posterior-mean vectors of the semantic codebooks
    entropy: Tensor  # [N, S]: mean over the semantic codebooks, nats
    logits: Tensor  # [N, S, q, K]


class _Running:
    """Latents so far of every stem and path while a frame is emitted, ``[N, S, C]`` each, unit scale."""

    def __init__(self, depth: DepthTransformer, frames: int, device: torch.device, dtype: torch.dtype) -> None:
        self.depth = depth
        shape = (2, len(STEMS), frames, depth.tables.vectors.shape[-1])
        self.latent = torch.zeros(shape, device=device, dtype=dtype)

    def own(self, step: Step) -> Tensor:
        """``[R, N, C]``: what each row's stem emitted before it."""
        paths = [int(q > self.depth.semantic) for q in step.codebooks]
        return self.latent[paths, list(step.stems)]

    def neighbour(self, step: Step) -> Tensor | None:
        """``[R, N, depth_dim]``: projected latent of the stem before each row's."""
        if self.depth.order == "parallel":
            return None
        paths = [int(q >= self.depth.semantic) for q in step.codebooks]
        rows = self.latent[paths, [s - 1 for s in step.stems]]
        known = torch.tensor([s > 0 for s in step.stems], device=rows.device)
        return torch.bmm(rows * known[:, None, None], self.depth.neighbour[paths])

    def add(self, step: Step, vectors: Tensor) -> None:
        """Add what the rows emitted, ``[R, N, C]``."""
        paths = [int(q >= self.depth.semantic) for q in step.codebooks]
        scale = self.depth.tables.scale[paths]
        self.latent[paths, list(step.stems)] += vectors * scale[:, None, None]


@torch.no_grad()
def generate(
    depth: DepthTransformer,
    h: Tensor,
    guide: Tensor | None,
    decoding: Decoding = GREEDY,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    forced: Tensor | None = None,
) -> Frame:
    """Emit the codes of N frames.

    Args:
        h: ``[N, D]``; guide: ``[N, S, 240]`` or None.
        decoding: order of choice, see :class:`Decoding`.
        seed, frame: ``[N]`` int64, of the slot and its position; needed when temperature > 0.
        forced: ``[N, S, q]`` codes to emit instead of the chosen ones.
    """
    codebooks = decoding.codebooks or depth.semantic
    plan = depth.plan(codebooks, h.device)
    base = depth.frame(h, guide).transpose(0, 1)  # [S, N, D]
    running = _Running(depth, h.shape[0], h.device, base.dtype)
    attention = depth.blocks[0].attention
    places = len(STEMS) * codebooks
    past = [base.new_empty(2, h.shape[0], places, attention.heads, attention.head_dim) for _ in depth.blocks]
    codes = torch.empty(h.shape[0], len(STEMS), codebooks, dtype=torch.int64, device=h.device)
    all_logits = base.new_empty(h.shape[0], len(STEMS), codebooks, depth.tables.vectors.shape[1])
    filled = 0
    for step in plan.steps:
        logits = _step_logits(depth, step, base, running, past, filled)
        filled += len(step.stems)
        stems, books = list(step.stems), list(step.codebooks)
        all_logits[:, stems, books] = logits.transpose(0, 1)
        if forced is not None:
            chosen = forced[:, stems, books].T
        else:
            chosen = choose(logits, decoding, _noise(step, seed, frame, h.device))
        codes[:, stems, books] = chosen.T
        running.add(step, _vectors(depth, step, chosen, logits, decoding))
    return Frame(codes, *_posterior(depth, all_logits), all_logits)


def _step_logits(
    depth: DepthTransformer, step: Step, base: Tensor, running: _Running, past: list[Tensor], filled: int
) -> Tensor:
    """``[R, N, K]`` logits of the step's rows."""
    stems, books = list(step.stems), list(step.codebooks)
    x = base[stems] + depth.place[stems, books].unsqueeze(1)
    x = torch.baddbmm(x, running.own(step), depth.own[books])
    neighbour = running.neighbour(step)
    if neighbour is not None:
        x = x + neighbour
    x = x.transpose(0, 1)
    for layer, cache in zip(depth.blocks, past, strict=True):
        x = layer.extend(x, cache, filled, step.bias)
    x = depth.norm(x).transpose(0, 1)
    if books[0] == books[-1]:
        return depth.logits(x.unsqueeze(0), books[0]).squeeze(0)
    return depth.logits(x, books[0])


def _noise(step: Step, seed: Tensor | None, frame: Tensor | None, device: torch.device) -> Tensor | None:
    if seed is None or frame is None:
        return None
    stems = torch.tensor(step.stems, device=device).unsqueeze(1)
    return uniform(seed, frame, stems, torch.tensor(step.codebooks, device=device).unsqueeze(1))


def _vectors(depth: DepthTransformer, step: Step, chosen: Tensor, logits: Tensor, decoding: Decoding) -> Tensor:
    """``[R, N, C]``: what later places of the frame get to see of the chosen codes."""
    tables = depth.tables.vectors[list(step.codebooks)]
    if decoding.within == "soft":
        return torch.bmm(logits.softmax(-1), tables)
    return torch.stack([table[row] for table, row in zip(tables, chosen, strict=True)])


def _posterior(depth: DepthTransformer, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Semantic latent ``[N, S, C]`` and mean entropy ``[N, S]`` of the posterior."""
    count = min(depth.semantic, logits.shape[2])
    parts = [softmax_mean(logits[:, :, q], depth.tables.vectors[q]) for q in range(count)]
    mean = torch.stack([part[0] for part in parts]).sum(0)
    return mean, torch.stack([part[1] for part in parts]).mean(0)
