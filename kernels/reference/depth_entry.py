"""What the depth transformer is told of a frame before its codes. Knows one frame; knows nothing of codes.

known[s, q] = h · hiddenᵀ + hidden_bias + silu(guide_s · down_s + down_bias_s) · up_s + place[s, q]
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.case import Case, Cost


class EntryWeights(NamedTuple):
    """S stems, G numbers of a guide, M in the middle."""

    hidden: Tensor  # [D, H]
    hidden_bias: Tensor  # [D]
    down: Tensor  # [S, G, M]
    down_bias: Tensor  # [S, M]
    up: Tensor  # [S, M, D]
    place: Tensor  # [S, Q, D]


def depth_entry(weights: EntryWeights, h: Tensor, guide: Tensor | None, codebooks: int) -> Tensor:
    """Rows of all places.

    Args:
        weights: see :class:`EntryWeights`.
        h: ``[N, H]``, of frames.
        guide: ``[N, S, G]``; None adds nothing.
        codebooks: of each stem the first so many places, 1 to Q.

    Returns ``[N, S · codebooks, D]``, stem by stem.
    """
    w = weights
    base = F.linear(h, w.hidden, w.hidden_bias).unsqueeze(1)
    if guide is not None:
        middle = F.silu(torch.baddbmm(w.down_bias.unsqueeze(1), guide.transpose(0, 1), w.down))
        base = base + torch.bmm(middle, w.up).transpose(0, 1)
    return (base.unsqueeze(2) + w.place[:, :codebooks]).flatten(1, 2)


def cases() -> list[Case]:
    sizes = {"stems": 4, "hidden": 256, "guide": 240, "middle": 64, "dim": 192, "codebooks": 4}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, stems: int, hidden: int, guide: int, middle: int, dim: int, codebooks: int) -> Cost:
    weights = hidden * dim + stems * middle * (guide + dim)
    places = stems * codebooks * dim
    return Cost(
        flops=slots * (2 * weights + places), bytes=4 * (weights + places + slots * (hidden + stems * guide + places))
    )
