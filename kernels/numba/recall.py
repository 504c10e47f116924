"""Columns of some frames back, on the CPU. Contract: `kernels.reference.recall`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit


def recall(
    spectrum: Tensor,
    level: Tensor,
    index: Tensor,
    first: int,
    spectra: Tensor,
    levels: Tensor,
    active: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As :func:`kernels.reference.recall`; float32 and complex64 on the CPU, no gradients, else TypeError. What is kept
    must be contiguous (ValueError).
    """
    if (spectrum.dtype, level.dtype, level.device.type) != (torch.complex64, torch.float32, "cpu"):
        raise TypeError(f"recall of numba takes complex64 and float32 on the CPU, got {spectrum.dtype}, {level.dtype}")
    if not (spectra.is_contiguous() and levels.is_contiguous()):
        raise ValueError("recall of numba moves contiguous tensors only")
    slots, frames = levels.shape
    moves = np.ones(slots, dtype=np.bool_) if active is None else array(active)
    then, loud = torch.empty(spectrum.shape, dtype=spectrum.dtype), torch.empty(slots)
    _move(
        array(spectrum).view(np.float32).reshape(slots, -1), array(level), array(index), first,
        spectra.numpy().view(np.float32).reshape(slots, frames, -1), levels.numpy(), moves,
        then.numpy().view(np.float32).reshape(slots, -1), loud.numpy(),
    )  # fmt: skip
    return then, loud


@jit
def _move(
    spectrum: Any,  # [B, N]
    level: Any,  # [B]
    index: Any,  # [B]
    first: int,
    spectra: Any,  # [B, K, N], changed in place
    levels: Any,  # [B, K], changed in place
    moves: Any,  # [B] bool
    then: Any,  # [B, N]
    loud: Any,  # [B]
) -> None:
    slots, frames, size = spectra.shape
    for b in range(slots):
        back = max(index[b] + first, 0)
        loud[b] = levels[b, back - 1] if back else level[b]
        if back:
            for i in range(size):
                then[b, i] = spectra[b, back - 1, i]
        else:
            for i in range(size):
                then[b, i] = spectrum[b, i]
        if moves[b]:
            for k in range(frames - 1, 0, -1):
                levels[b, k] = levels[b, k - 1]
                for i in range(size):
                    spectra[b, k, i] = spectra[b, k - 1, i]
            levels[b, 0] = level[b]
            for i in range(size):
                spectra[b, 0, i] = spectrum[b, i]
