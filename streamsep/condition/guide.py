"""Guide head: stem masks straight from the Conformer, by regression.

It conditions the language model, is blended with the decoded tokens by confidence, and is the fallback under load.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.reference.guide_head import GuideWeights, guide_head
from streamsep.condition.bands import GroupLinear
from streamsep.config import ENVELOPES, ENVELOPES_PER_BAND, STEMS, SUBFRAMES, TRUNK_BANDS, ConditionConfig
from streamsep.streaming.held import Held

SIDES = 2  # mid, side
MASK_SHAPE = (len(STEMS), SIDES, SUBFRAMES, ENVELOPES)


class GuideHead(nn.Module):
    """Tokens and target features of a frame → mask logits; their softmax over stems sums to one."""

    heard: Tensor
    spoken: Tensor
    token: Tensor

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        hidden = 4 * cfg.band_dim
        self.groups, self.most = len(cfg.per_group), max(cfg.per_group)
        self.split = GroupLinear(self.groups, cfg.dim, TRUNK_BANDS // self.groups * cfg.band_dim)
        heard, spoken = _places(cfg)
        self.register_buffer("heard", heard, persistent=False)
        self.register_buffer("spoken", spoken, persistent=False)
        self.register_buffer("token", torch.tensor(cfg.token_of_band), persistent=False)
        self.mix = nn.Linear(2 * cfg.band_dim, 2 * hidden)
        width = len(STEMS) * SIDES * SUBFRAMES * ENVELOPES_PER_BAND
        self.weight = nn.Parameter(torch.zeros(TRUNK_BANDS, hidden, width))
        self.bias = nn.Parameter(torch.zeros(TRUNK_BANDS, width))
        self.guide_head: Callable[..., Tensor] = guide_head  # another implementation may be put in its place
        self.weights = Held(self, self._gather)

    def forward(self, tokens: Tensor, target: Tensor) -> Tensor:
        """``tokens`` [M, N, dim], ``target`` [M, 30, band_dim] → logits [M, S, 2 sides, 2 subframes, 120] float32."""
        bands = self._of_bands(tokens)
        gate, value = self.mix(torch.cat([bands, target], -1)).chunk(2, -1)
        hidden = (F.silu(gate) * value).transpose(0, 1)
        out = torch.baddbmm(self.bias.to(hidden.dtype)[:, None], hidden, self.weight.to(hidden.dtype)).float()
        out = out.unflatten(-1, (*MASK_SHAPE[:3], ENVELOPES_PER_BAND))  # [30, M, S, 2, 2, 4]
        return out.permute(1, 2, 3, 4, 0, 5).flatten(-2)

    def step(self, tokens: Tensor, target: Tensor) -> Tensor:
        """``forward`` of one frame a stream, where nothing is trained."""
        rows = len(STEMS) * SIDES * SUBFRAMES
        return self.guide_head(self.weights(), tokens, target, rows).unflatten(1, MASK_SHAPE[:3])

    def _gather(self) -> GuideWeights:
        split, mix = self.split, self.mix
        return GuideWeights(self.token, split.weight, split.bias, mix.weight, mix.bias, self.weight, self.bias)

    def _of_bands(self, tokens: Tensor) -> Tensor:
        """``tokens`` [M, N, dim] → what they say of each band, [M, 30, band_dim]."""
        width = TRUNK_BANDS // self.groups
        if self.most == 1:
            return self.split(tokens).unflatten(-1, (width, -1)).flatten(1, 2)
        said = self.split(tokens[:, self.heard].unflatten(1, (self.most, self.groups)))
        return said.unflatten(-1, (width, -1)).flatten(1, 3)[:, self.spoken]


def _places(cfg: ConditionConfig) -> tuple[Tensor, Tensor]:
    """[most · groups] token of each place, a group's i-th token in row i; [30] where, of (place, band of its group), a
    band is."""
    groups, most = len(cfg.per_group), max(cfg.per_group)
    width, first = TRUNK_BANDS // groups, [sum(cfg.per_group[:g]) for g in range(groups)]
    heard = [first[g] + min(i, cfg.per_group[g] - 1) for i in range(most) for g in range(groups)]
    spoken = [
        ((token - first[band // width]) * groups + band // width) * width + band % width
        for band, token in enumerate(cfg.token_of_band)
    ]
    return torch.tensor(heard), torch.tensor(spoken)


def log_masks(logits: Tensor) -> Tensor:
    """Log of the stem masks: softmax over the stem axis of [..., S, 2, 2, 120]."""
    return torch.log_softmax(logits, -4)
