"""A linear map for each of some groups, each of which hears one of the inputs. Knows groups; knows nothing of bands.

y[:, g] = x[:, heard[g]] · weight[g] + bias[g]   (+ more[g])
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


class GroupWeights(NamedTuple):
    """G maps from I to O."""

    weight: Tensor  # [G, I, O]
    bias: Tensor  # [G, O]
    heard: Tensor  # [G] int64: the input of each group


def group_linear(weights: GroupWeights, x: Tensor, more: Tensor | None = None) -> Tensor:
    """Map x ``[M, N, I]`` to ``[M, G, O]``. ``more``: a second bias ``[G, O]``."""
    heard = x[:, weights.heard].transpose(0, 1)
    y = torch.baddbmm(weights.bias[:, None], heard, weights.weight).transpose(0, 1)
    return y if more is None else y + more


def cases() -> list[Case]:
    sizes = {"inputs": 6, "groups": 8, "dim": 160, "outputs": 128}
    return [Case("step", {"slots": 1, **sizes}), Case("64 streams", {"slots": 64, **sizes})]


def cost(slots: int, inputs: int, groups: int, dim: int, outputs: int) -> Cost:
    numbers = groups * dim * outputs
    moved = slots * (inputs * dim + groups * outputs)
    return Cost(flops=2 * slots * numbers, bytes=4 * (numbers + 2 * groups * outputs + moved))
