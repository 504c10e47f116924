"""What enters the temporal transformer in a frame, and how its heads are turned. Knows one frame; knows no layers.

x        = c · conditionᵀ + bias + lookahead[index] + Σ_s (latent_s · scale · project_s  if remembered else dropped_s)
cos, sin = of the integer phase of `position` (`kernels.reference.rope`)
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.rope import rope_rotation


class TemporalEntryWeights(NamedTuple):
    """S stems, latents of C numbers."""

    condition: Tensor  # [D, I]
    bias: Tensor  # [D]
    lookahead: Tensor  # [K, D], a row for each lookahead
    scale: Tensor  # [1]
    project: Tensor  # [S, C, D]
    dropped: Tensor  # [S, D]
    frequencies: Tensor  # [head_dim / 2] int64


def temporal_entry(
    weights: TemporalEntryWeights,
    c: Tensor,
    latent: Tensor,
    index: Tensor,
    position: Tensor,
    lowest: int,
    remembers: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Of one frame a slot.

    Args:
        weights: see :class:`TemporalEntryWeights`.
        c: ``[B, I]``.
        latent: ``[B, S, C]``, what was emitted in the frame before. Where nothing is remembered it may hold anything.
        index: ``[B]`` int64, row of ``lookahead``.
        position: ``[B]`` int64, frames before this one.
        lowest: the lookahead that row 0 stands for. The first frame is emitted at position max(lookahead, 0), so that
            only later ones have a past.
        remembers: whether it is at all.

    Returns ``x [B, D]``, and ``cos`` and ``sin`` ``[B, head_dim / 2]`` float32 (float64 where x is).
    """
    w = weights
    known = ((position > (index + lowest).clamp(min=0)) & remembers)[:, None, None]
    past = (latent * w.scale).masked_fill(~known, 0.0).flatten(1) @ w.project.flatten(0, 1)
    past = past + w.dropped.sum(0) * (~known[:, 0]).to(past.dtype)
    x = F.linear(c, w.condition, w.bias) + past + w.lookahead[index]
    return x, *rope_rotation(position, w.frequencies, double=x.dtype.itemsize == 8)


def cases() -> list[Case]:
    sizes = {"stems": 4, "inputs": 256, "width": 64, "dim": 256, "head_dim": 32}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, stems: int, inputs: int, width: int, dim: int, head_dim: int) -> Cost:
    rows = inputs + stems * width
    return Cost(flops=2 * slots * rows * dim, bytes=4 * (rows * dim + slots * (rows + dim + head_dim)))
