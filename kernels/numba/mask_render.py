"""Gains of bands on the mixture's columns, on the CPU; the inverse FFT is torch's. Contract and formula:
`kernels.reference.mask_render`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit

_ROOT_HALF = np.float32(0.5**0.5)


def mask_render(
    gains: Tensor,
    spectrum: Tensor,
    added: Tensor,
    band: Tensor,
    window: Tensor,
    tail: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.mask_render`; float32 and complex64 on the CPU, no gradients, else TypeError. The
    tail must be contiguous (ValueError).
    """
    if (gains.dtype, spectrum.dtype, gains.device.type) != (torch.float32, torch.complex64, "cpu"):
        raise TypeError(f"mask_render of numba takes float32 and complex64 on the CPU, got {gains.dtype}")
    if not tail.is_contiguous():
        raise ValueError("mask_render of numba moves a contiguous tail only")
    slots, stems, _, _, rows, bands = gains.shape
    hop = tail.shape[-1]
    columns = torch.empty(slots * stems * 2 * rows, hop + 1, dtype=torch.complex64)
    _pass(
        array(gains),
        array(spectrum).view(np.float32),
        array(added).view(np.float32),
        array(band),
        columns.numpy().view(np.float32),
    )
    waves = torch.fft.irfft(columns, 2 * hop)
    sound = torch.empty(slots, stems, 2, rows * hop)
    moves = np.ones(slots, dtype=np.bool_) if active is None else array(active)
    _overlap(
        array(waves).reshape(-1, 2, rows, 2, hop), array(window).reshape(2, hop), tail.numpy().reshape(-1, 2, hop),
        moves, sound.numpy().reshape(-1, 2, rows, hop),
    )  # fmt: skip
    return sound


@jit
def _pass(
    gains: Any,  # [B, S, 2 to, 2 from, R, M]
    spectrum: Any,  # [B, 2 from, R, 2·F]
    added: Any,  # [B, S, 2 to, R, 2·K]
    band: Any,  # [F]
    columns: Any,  # [B·S·2·R, 2·F]
) -> None:
    slots, stems, _, _, rows, _ = gains.shape
    for b in range(slots):
        for s in range(stems):
            for to in range(2):
                for r in range(rows):
                    row = ((b * stems + s) * 2 + to) * rows + r
                    mid, side, out = spectrum[b, 0, r], spectrum[b, 1, r], columns[row]
                    for f in range(len(band)):
                        m, n = gains[b, s, to, 0, r, band[f]], gains[b, s, to, 1, r, band[f]]
                        out[2 * f] = m * mid[2 * f] + n * side[2 * f]
                        out[2 * f + 1] = m * mid[2 * f + 1] + n * side[2 * f + 1]
                    for i in range(added.shape[4]):
                        out[i] += added[b, s, to, r, i]


@jit
def _overlap(
    waves: Any,  # [B·S, 2 sides, R, 2 halves, hop]
    window: Any,  # [2 halves, hop]
    tail: Any,  # [B·S, 2 sides, hop], changed in place
    moves: Any,  # [B] bool
    sound: Any,  # [B·S, 2 channels, R, hop]
) -> None:
    count, _, rows, _, hop = waves.shape
    stems = count // len(moves)
    before = np.empty((2, hop), np.float32)
    for n in range(count):
        for i in range(hop):
            before[0, i] = tail[n, 0, i]
            before[1, i] = tail[n, 1, i]
        for r in range(rows):
            for i in range(hop):
                mid = waves[n, 0, r, 0, i] * window[0, i] + before[0, i]
                side = waves[n, 1, r, 0, i] * window[0, i] + before[1, i]
                sound[n, 0, r, i] = (mid + side) * _ROOT_HALF
                sound[n, 1, r, i] = (mid - side) * _ROOT_HALF
                before[0, i] = waves[n, 0, r, 1, i] * window[1, i]
                before[1, i] = waves[n, 1, r, 1, i] * window[1, i]
        if moves[n // stems]:
            for i in range(hop):
                tail[n, 0, i] = before[0, i]
                tail[n, 1, i] = before[1, i]
