"""Running mean square of a sound on the CPU. Contract and formula: `kernels.reference.track_level`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit
from kernels.reference.track_level import FLOOR


def track_level(
    spectrum: Tensor, decay: Tensor, power: Tensor, weight: Tensor, active: Tensor | None = None, floor: float = FLOOR
) -> Tensor:
    """As :func:`kernels.reference.track_level`; complex64 and float32 on the CPU, no gradients, else TypeError. What is
    kept must be contiguous (ValueError).
    """
    if (spectrum.dtype, power.dtype, power.device.type) != (torch.complex64, torch.float32, "cpu"):
        raise TypeError(f"track_level of numba takes complex64 on the CPU, got {spectrum.dtype}, {power.dtype}")
    if not (power.is_contiguous() and weight.is_contiguous()):
        raise ValueError("track_level of numba moves contiguous tensors only")
    slots, bins = spectrum.shape[0], spectrum.shape[3]
    columns = array(spectrum.resolve_conj()).view(np.float32).reshape(slots, 4, 2 * bins)
    moves = np.ones(slots, dtype=np.bool_) if active is None else array(active)
    out = torch.empty(slots)
    _track(columns, array(decay), power.numpy(), weight.numpy(), moves, np.float32(floor), out.numpy())
    return out


@jit
def _track(columns: Any, decay: Any, power: Any, weight: Any, moves: Any, floor: Any, out: Any) -> None:
    """``columns`` [B, 4, 2·F]; else as the contract says."""
    slots, count, numbers = columns.shape
    scale = np.float32(1) / np.float32(numbers // 2)
    for b in range(slots):
        x = np.float32(0)
        for c in range(count):
            row, part = columns[b, c], np.float32(0)
            for f in range(numbers):
                part += row[f] * row[f]
            x += part
        level = floor
        for k in range(2):
            total, times = decay[k] * power[b, k] + x * scale * scale, decay[k] * weight[b, k] + np.float32(1)
            mean = total / times
            level = level if mean <= level else mean  # NaN stays
            if moves[b]:
                power[b, k], weight[b, k] = total, times
        out[b] = level
