"""Running mean square of a sound out of its columns: the larger of two exponential means, one slow and one fast.

x = Σ|X|² / F²;   power = decay · power + x,   weight = decay · weight + 1          (kept for active slots)
level = max(floor, power / weight of either mean)

The weights correct the means for their empty start.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost

FLOOR = 1e-9  # -90 dB


def track_level(
    spectrum: Tensor, decay: Tensor, power: Tensor, weight: Tensor, active: Tensor | None = None, floor: float = FLOOR
) -> Tensor:
    """Advance one frame.

    Args:
        spectrum: ``[B, 2, 2, F]`` complex: mid and side, column, bin.
        decay: ``[2]``, of either mean from a frame to the next.
        power, weight: ``[B, 2]``, changed in place for active slots.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.
        floor: below it a sound counts as silent.

    Returns ``[B]`` in the spectrum's precision.
    """
    parts = torch.view_as_real(spectrum)
    x = parts.square().sum((1, 2, 3, 4)) / spectrum.shape[-1] ** 2
    total, count = decay * power.to(x.dtype) + x.unsqueeze(1), decay * weight.to(x.dtype) + 1.0
    for kept, new in ((power, total.detach()), (weight, count)):
        kept.copy_(new if active is None else torch.where(active.unsqueeze(1), new, kept))
    return (total / count).amax(1).clamp(min=floor)


def cases() -> list[Case]:
    return [Case("one stream", {"slots": 1, "bins": 961}), Case("64 streams", {"slots": 64, "bins": 961})]


def cost(slots: int, bins: int) -> Cost:
    return Cost(flops=slots * 16 * bins, bytes=4 * slots * (8 * bins + 9))
