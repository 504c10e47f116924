"""What lies between the two products of a Conformer's convolution, for one frame a slot. Knows channels and tokens.

h = glu(x);   y = Σ_i weight[i] · span[i],   span = (past, h);   past = the last K-1 of span     (active slots)
out = silu(rms_norm(y) · norm)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.rms_norm import EPS, rms_norm


def gated_conv_step(
    x: Tensor, past: Tensor, weight: Tensor, norm: Tensor, active: Tensor | None = None, eps: float = EPS
) -> Tensor:
    """Advance one frame.

    Args:
        x: ``[B, N, 2·D]``: N tokens a slot; the values, then the gates that let them pass.
        past: ``[B, N, K-1, D]``, the frames before, oldest first, changed in place for active slots.
        weight: ``[K, D]``, the newest frame's last.
        norm: ``[D]``.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, N, D]``.
    """
    span = torch.cat((past, F.glu(x, -1).unsqueeze(2)), 2)
    kept = span[:, :, 1:]
    past.copy_(kept if active is None else torch.where(active[:, None, None, None], kept, past))
    return F.silu(rms_norm((span * weight).sum(2), norm, eps))


def cases() -> list[Case]:
    sizes = {"tokens": 8, "dim": 128, "kernel": 5}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, tokens: int, dim: int, kernel: int) -> Cost:
    rows = slots * tokens
    return Cost(flops=rows * dim * (2 * kernel + 16), bytes=4 * dim * (rows * (3 + 2 * (kernel - 1)) + kernel + 1))
