"""A product added to what was there. Knows rows and matrices only.

y = residual + x · weightᵀ
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.case import Case, Cost


def linear_residual(x: Tensor, weight: Tensor, residual: Tensor) -> Tensor:
    """x ``[..., I]``, weight ``[O, I]``, residual ``[..., O]`` → ``[..., O]``."""
    return residual + x @ weight.T


def cases() -> list[Case]:
    return [Case("step", {"rows": 1, "dim": 256, "out": 256}), Case("64 rows", {"rows": 64, "dim": 448, "out": 256})]


def cost(rows: int, dim: int, out: int) -> Cost:
    return Cost(flops=2 * rows * dim * out, bytes=4 * (dim * out + rows * (dim + 2 * out)))
