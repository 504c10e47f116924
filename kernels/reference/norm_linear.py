"""A product of normed rows. Knows rows and matrices only.

y = rms_norm(x) · weightᵀ
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.rms_norm import EPS, rms_norm


def norm_linear(x: Tensor, norm: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """x ``[..., D]``, norm ``[D]``, weight ``[O, D]`` → ``[..., O]``."""
    return rms_norm(x, norm, eps) @ weight.T


def cases() -> list[Case]:
    return [
        Case("step", {"rows": 8, "dim": 128, "out": 384}),
        Case("64 streams", {"rows": 512, "dim": 128, "out": 384}),
    ]


def cost(rows: int, dim: int, out: int) -> Cost:
    return Cost(flops=2 * rows * dim * out, bytes=4 * (dim * out + rows * (dim + out)))
