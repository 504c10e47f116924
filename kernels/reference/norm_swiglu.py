"""First half of a gated MLP: norm, gate and up projections, SiLU. Knows rows; the way down is `linear_residual`.

gate, up = split(rms_norm(x) · gate_upᵀ);   y = silu(gate) · up
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.rms_norm import EPS, rms_norm
from kernels.reference.swiglu import swiglu


def norm_swiglu(x: Tensor, norm: Tensor, gate_up: Tensor, eps: float = EPS) -> Tensor:
    """x ``[..., D]``, norm ``[D]``, gate_up ``[2·M, D]`` (the gates, then the values they open) → ``[..., M]``."""
    return swiglu(rms_norm(x, norm, eps) @ gate_up.T)


def cases() -> list[Case]:
    return [
        Case("step", {"rows": 1, "dim": 256, "hidden": 448}),
        Case("64 rows", {"rows": 64, "dim": 256, "hidden": 448}),
    ]


def cost(rows: int, dim: int, hidden: int) -> Cost:
    return Cost(flops=4 * rows * dim * hidden, bytes=4 * (2 * dim * hidden + rows * (dim + hidden)))
