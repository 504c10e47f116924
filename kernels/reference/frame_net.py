"""A residual MLP of single rows with a linear way past it. Knows rows; knows nothing of frames or codes.

h = x · enterᵀ + b;   for each block:  h += gelu(rms_norm(h) · upᵀ + b) · downᵀ + b
y = x · straightᵀ + b + rms_norm(h) · leaveᵀ

with the exact GELU, h · (1 + erf(h / √2)) / 2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.rms_norm import rms_norm

EPS = torch.finfo(torch.float32).eps  # of all norms: what torch.nn.RMSNorm takes when it is told nothing


class FrameBlockWeights(NamedTuple):
    """One block of D channels, H hidden ones."""

    norm: Tensor  # [D]
    up: Tensor  # [H, D]
    up_bias: Tensor  # [H]
    down: Tensor  # [D, H]
    down_bias: Tensor  # [D]


class FrameNetWeights(NamedTuple):
    """From I inputs through D channels to O outputs; matrices lie as those of torch.nn.Linear."""

    straight: Tensor  # [O, I]
    straight_bias: Tensor  # [O]
    enter: Tensor  # [D, I]
    enter_bias: Tensor  # [D]
    blocks: tuple[FrameBlockWeights, ...]
    norm: Tensor  # [D]
    leave: Tensor  # [O, D]


def frame_net(weights: FrameNetWeights, x: Tensor, outputs: int | None = None) -> Tensor:
    """Pass some rows through.

    Args:
        weights: see :class:`FrameNetWeights`.
        x: ``[..., I]``.
        outputs: how many of the outputs are wanted, the first ones; all when None.

    Returns ``[..., outputs]``.
    """
    h = F.linear(x, weights.enter, weights.enter_bias)
    for block in weights.blocks:
        hidden = F.gelu(F.linear(rms_norm(h, block.norm, EPS), block.up, block.up_bias))
        h = h + F.linear(hidden, block.down, block.down_bias)
    past = F.linear(x, weights.straight[:outputs], weights.straight_bias[:outputs])
    return past + F.linear(rms_norm(h, weights.norm, EPS), weights.leave[:outputs])


def cases() -> list[Case]:
    sizes = {"inputs": 64, "dim": 192, "hidden": 384, "layers": 2, "outputs": 244, "wanted": 240}
    return [Case("step", {"rows": 4, **sizes}), Case("64 streams", {"rows": 256, **sizes})]


def cost(rows: int, inputs: int, dim: int, hidden: int, layers: int, outputs: int, wanted: int) -> Cost:
    numbers = inputs * (dim + wanted) + 2 * layers * hidden * dim + dim * wanted
    return Cost(flops=2 * rows * numbers, bytes=4 * (numbers + rows * (inputs + wanted)))
