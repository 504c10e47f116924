"""Guide head: stem masks straight from the Conformer, by regression.

It conditions the language model, is blended with the decoded tokens by confidence, and is the fallback under load.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.condition.bands import GroupLinear
from streamsep.config import ENVELOPES, ENVELOPES_PER_BAND, STEMS, SUBFRAMES, TRUNK_BANDS, ConditionConfig

SIDES = 2  # mid, side
MASK_SHAPE = (len(STEMS), SIDES, SUBFRAMES, ENVELOPES)


class GuideHead(nn.Module):
    """Tokens and target features of a frame → mask logits; their softmax over stems sums to one."""

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        hidden = 4 * cfg.band_dim
        self.split = GroupLinear(cfg.tokens, cfg.dim, TRUNK_BANDS // cfg.tokens * cfg.band_dim)
        self.mix = nn.Linear(2 * cfg.band_dim, 2 * hidden)
        width = len(STEMS) * SIDES * SUBFRAMES * ENVELOPES_PER_BAND
        self.weight = nn.Parameter(torch.zeros(TRUNK_BANDS, hidden, width))
        self.bias = nn.Parameter(torch.zeros(TRUNK_BANDS, width))

    def forward(self, tokens: Tensor, target: Tensor) -> Tensor:
        """``tokens`` [M, N, dim], ``target`` [M, 30, band_dim] → logits [M, S, 2 sides, 2 subframes, 120] float32."""
        bands = self.split(tokens).unflatten(-1, (-1, target.shape[-1])).flatten(1, 2)
        gate, value = self.mix(torch.cat([bands, target], -1)).chunk(2, -1)
        hidden = (F.silu(gate) * value).transpose(0, 1)
        out = torch.baddbmm(self.bias.to(hidden.dtype)[:, None], hidden, self.weight.to(hidden.dtype)).float()
        out = out.unflatten(-1, (*MASK_SHAPE[:3], ENVELOPES_PER_BAND))  # [30, M, S, 2, 2, 4]
        return out.permute(1, 2, 3, 4, 0, 5).flatten(-2)


def log_masks(logits: Tensor) -> Tensor:
    """Log of the stem masks: softmax over the stem axis of [..., S, 2, 2, 120]."""
    return torch.log_softmax(logits, -4)
