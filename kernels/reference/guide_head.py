"""Mask logits of each band out of what its token says and out of its own features. Knows bands, groups and tokens.

Band b of a group g reads its token alone, and of the group's matrix its own columns alone:

said   = tokens[token[b]] · split[g][:, b's columns] + bias
hidden = silu(gate) · value,  (gate, value) = (said, target[b]) · mixᵀ + bias
logits = hidden · weight[b] + bias[b]
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.swiglu import swiglu


class GuideWeights(NamedTuple):
    """Of R bands in G groups of equal size P = R / G, for tokens of D channels and bands of W; H hidden ones."""

    token: Tensor  # [R] int64: which token speaks for each band
    split: Tensor  # [G, D, P·W]
    split_bias: Tensor  # [G, P·W]
    mix: Tensor  # [2·H, 2·W]: the gates, then what they open
    mix_bias: Tensor  # [2·H]
    weight: Tensor  # [R, H, V]
    bias: Tensor  # [R, V]


def guide_head(weights: GuideWeights, tokens: Tensor, target: Tensor, rows: int) -> Tensor:
    """Logits of one frame a slot.

    Args:
        weights: see :class:`GuideWeights`.
        tokens: ``[M, N, D]``.
        target: ``[M, R, W]``, the bands' features.
        rows: how many rows the V logits of a band make (stems, sides, subframes); each has V / rows columns.

    Returns ``[M, rows, R · V / rows]`` float32: the columns of all bands side by side.
    """
    split, split_bias, mix = weights.split, weights.split_bias, weights.mix
    parts = len(weights.weight) // len(split)
    own = split.unflatten(-1, (parts, -1)).transpose(1, 2).flatten(0, 1)  # [R, D, W]
    heard = tokens[:, weights.token].transpose(0, 1)
    said = torch.baddbmm(split_bias.view(len(own), 1, -1), heard, own).transpose(0, 1)
    hidden = swiglu(F.linear(torch.cat((said, target), -1), mix, weights.mix_bias))
    out = torch.baddbmm(weights.bias[:, None], hidden.transpose(0, 1), weights.weight)
    out = out if out.dtype == torch.float64 else out.float()
    return out.unflatten(-1, (rows, -1)).permute(1, 2, 0, 3).flatten(-2)


def cases() -> list[Case]:
    sizes = {"tokens": 8, "dim": 128, "bands": 30, "groups": 6, "width": 32, "hidden": 128, "rows": 16, "columns": 4}
    return [Case("step", {"slots": 1, **sizes}), Case("64 streams", {"slots": 64, **sizes})]


def cost(
    slots: int, tokens: int, dim: int, bands: int, groups: int, width: int, hidden: int, rows: int, columns: int
) -> Cost:
    own, mix = dim * width + hidden * rows * columns, 4 * hidden * width
    moved = slots * (tokens * dim + bands * (width + rows * columns))
    return Cost(flops=2 * slots * bands * (own + mix), bytes=4 * (bands * own + mix + moved))
