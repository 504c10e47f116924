"""Rotary position embedding with integer phase. Knows positions and head sizes; knows nothing of caches.

    k_i     = round(f_i / 2π · 2³²)               f_i = theta^(-2i / head_dim), i = 0 .. head_dim/2 - 1
    phase   = uint32(position · k_i)              exact: the turn count overflows, the fraction of a turn stays
    angle_i = 2π · int32(phase) / 2³²             in [-π, π)
    y[i]          = x[i] · cos(angle_i) - x[i + head_dim/2] · sin(angle_i)
    y[i + hd/2]   = x[i + head_dim/2] · cos(angle_i) + x[i] · sin(angle_i)

A float32 position drifts by 0.06 rad within a day of frames. The integer phase never does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost

_TURN = 1 << 32


def rope_frequencies(head_dim: int, theta: float = 10_000.0) -> Tensor:
    """Turns per position in units of 2⁻³² turn, ``[head_dim / 2]`` int64. Raises ValueError for an odd size."""
    if head_dim % 2:
        raise ValueError(f"rotary embedding needs an even head size, got {head_dim}")
    half = head_dim // 2
    turns = [round(theta ** (-i / half) / (2 * math.pi) * _TURN) for i in range(half)]
    return torch.tensor(turns, dtype=torch.int64)


def rope_rotation(position: Tensor, frequencies: Tensor, double: bool = False) -> tuple[Tensor, Tensor]:
    """Cosine and sine for each position.

    Args:
        position: ``[...]`` int64, 0 ≤ position < 2⁶³; only its low 32 bits matter.
        frequencies: ``[head_dim / 2]`` int64 from :func:`rope_frequencies`.
        double: give float64.

    Returns ``(cos, sin)``, each ``[..., head_dim / 2]`` float32, or float64.
    """
    low = (position & (_TURN - 1)).unsqueeze(-1)  # keeps the product below 2⁶³: 32 + 30 bits
    phase = (low * frequencies) & (_TURN - 1)
    signed = torch.where(phase >= _TURN // 2, phase - _TURN, phase)
    angle = signed.double() * (2 * math.pi / _TURN)
    return (angle.cos(), angle.sin()) if double else (angle.cos().float(), angle.sin().float())


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate every head.

    Args:
        x: ``[..., heads, head_dim]``.
        cos, sin: ``[..., head_dim / 2]``, the leading axes of x without the heads (or broadcastable to them).

    Returns ``[..., heads, head_dim]`` of x's type.
    """
    cos, sin = cos.unsqueeze(-2).to(x.dtype), sin.unsqueeze(-2).to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def cases() -> list[Case]:
    return [
        Case("step", {"rows": 1, "heads": 8, "head_dim": 32}),
        Case("train", {"rows": 2048, "heads": 8, "head_dim": 32}),
    ]


def cost(rows: int, heads: int, head_dim: int) -> Cost:
    return Cost(flops=3 * rows * heads * head_dim, bytes=4 * rows * head_dim * (2 * heads + 1))
