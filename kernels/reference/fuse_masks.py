"""Guide and tokens → masks: a blend in the log domain. Knows bands, sides and stems; nothing of how either came about.

weight = exponent · sigmoid(trust + slope · (entropy - usual))
masks  = softmax over stems of (guide · logits + weight · ln(10) · (3 · envelopes - 2))
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


class FuseWeights(NamedTuple):
    """How far tokens are trusted: S stems, two sides, M bands."""

    guide: Tensor  # []
    exponent: Tensor  # [S]
    trust: Tensor  # [S, 2, M]
    slope: Tensor  # [S]
    usual: Tensor  # [S]


def fuse_masks(weights: FuseWeights, logits: Tensor, envelopes: Tensor, entropy: Tensor) -> Tensor:
    """Masks of a frame.

    Args:
        logits: ``[B, S, 2 sides, R, M]`` of the guide.
        envelopes: ``[B, S, R · M]`` log envelopes that the tokens stand for: ±1 is ±30 dB.
        entropy: ``[B, S]`` of the tokens, nats.

    Returns the shape of ``logits``, float32 (float64 of float64); they sum to one over S.
    """
    wide = torch.float64 if logits.dtype == torch.float64 else torch.float32
    w = FuseWeights(*(each.to(wide) for each in weights))
    sure = (w.slope * (entropy.to(wide) - w.usual))[..., None, None]
    weight = torch.sigmoid(w.trust + sure) * w.exponent[:, None, None]  # [B, S, 2, M]
    power = (envelopes.to(wide) * 3.0 - 2.0) * math.log(10.0)
    power = power.unflatten(-1, (1, *logits.shape[-2:]))
    return torch.softmax(w.guide * logits.to(wide) + weight.unsqueeze(-2) * power, 1)


def cases() -> list[Case]:
    sizes = {"stems": 4, "columns": 2, "bands": 120}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, stems: int, columns: int, bands: int) -> Cost:
    """An exponential counts as ten."""
    envelopes, trust = slots * stems * columns * bands, stems * 2 * bands
    return Cost(
        flops=18 * 2 * envelopes + 14 * slots * trust,
        bytes=4 * (5 * envelopes + trust + slots * stems + 3 * stems + 1),
    )
