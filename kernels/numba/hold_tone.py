"""A bass that goes on as it sounded, on the CPU. Contract and formula: `kernels.reference.hold_tone`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit, part
from kernels.reference import hold_tone as formula

_FLOOR, _MOST = np.float32(formula.FLOOR), np.float32(formula.MOST)
_ZERO, _ONE = np.float32(0), np.float32(1)


def hold_tone(
    gains: Tensor, spectrum: Tensor, stem: int, decay: float, kept: Tensor, active: Tensor | None = None
) -> Tensor:
    """As :func:`kernels.reference.hold_tone`; float32 and complex64 on the CPU, no gradients, else TypeError. What is
    kept must be contiguous (ValueError).
    """
    if (gains.dtype, spectrum.dtype, gains.device.type) != (torch.float32, torch.complex64, "cpu"):
        raise TypeError(f"hold_tone of numba takes float32 and complex64 on the CPU, got {gains.dtype}")
    if not kept.is_contiguous():
        raise ValueError("hold_tone of numba changes a contiguous tensor only")
    slots, sets, stems, _, _, columns, bands = gains.shape
    added = torch.empty(slots, sets, stems, 2, columns, kept.shape[-1], dtype=torch.complex64)
    moves = np.ones(slots, dtype=np.bool_) if active is None else array(active)
    _hold(
        array(gains).reshape(slots, sets, stems, 4, columns, bands), array(spectrum).view(np.float32), stem,
        np.float32(decay), kept.numpy(), moves, added.numpy().view(np.float32),
    )  # fmt: skip
    return added


@jit
def _hold(
    gains: Any,  # [B, G, S, 4, R, M]
    spectrum: Any,  # [B, 2 sides, R, 2·F]
    stem: Any,
    decay: Any,
    kept: Any,  # [B, G, KEPT, K], changed in place
    moves: Any,  # [B] bool
    added: Any,  # [B, G, S, 2 sides, R, 2·K]
) -> None:
    slots, sets, stems, _, columns, _ = gains.shape
    held, bins = kept.shape[2:]
    old, new = np.empty((held, bins), np.float32), np.empty((held, bins), np.float32)
    moved = np.empty((2, 2 * bins), np.float32)
    for b in range(slots):
        for g in range(sets):
            new[:] = kept[b, g]
            for r in range(columns):
                old[:] = new
                _advance(gains[b, g, stem, :, r], spectrum[b, 0, r], spectrum[b, 1, r], decay, old, new, moved)
                for s in range(stems):
                    mine = _ONE if s == stem else _ZERO
                    _give(gains[b, g, s, :, r], mine, moved, added[b, g, s, 0, r], added[b, g, s, 1, r])
            if moves[b]:
                kept[b, g] = new


@part
def _advance(gain: Any, mid: Any, side: Any, decay: Any, old: Any, new: Any, moved: Any) -> None:
    bins = old.shape[1]
    for k in range(bins):
        first, last = max(k - 1, 0), min(k + 1, bins - 1)
        n_re, n_im, now, then = _ZERO, _ZERO, _FLOOR, _FLOOR
        for i in range(first, last + 1):
            n_re += old[4, i]
            n_im += old[5, i]
            now += old[6, i]
            then += old[7, i]
        g, h, i, j = gain[0, k], gain[1, k], gain[2, k], gain[3, k]
        a, b, c, d = mid[2 * k], mid[2 * k + 1], side[2 * k], side[2 * k + 1]
        p, q, s, t = old[0, k], old[1, k], old[2, k], old[3, k]  # the stem before
        heard = a * a + b * b + c * c + d * d + _FLOOR
        said = g * (a * a + b * b) + j * (c * c + d * d) + (h + i) * (a * c + b * d)
        said = said if not said < _ZERO else _ZERO  # NaN stays
        said = said if not said > heard else heard
        length = np.sqrt(n_re * n_re + n_im * n_im)
        steady = (length / now) * (length / then)
        sure = _MOST * steady * steady * np.sqrt(old[8, k])
        last = p * p + q * q + s * s + t * t + _FLOOR
        power = np.sqrt(said) * np.sqrt(last) * (length / then)
        power = power if not power > said else said
        scale = np.sqrt(sure * power / last) / (length + _FLOOR)
        u, v = scale * n_re, scale * n_im
        x0, x1, y0, y1 = a - (u * p - v * q), b - (u * q + v * p), c - (u * s - v * t), d - (u * t + v * s)
        e, f, m, n = _ONE - sure * g, -sure * h, -sure * i, _ONE - sure * j
        scale = _ONE / (e * n - f * m)
        z0, z1 = (n * x0 - f * y0) * scale, (n * x1 - f * y1) * scale
        w0, w1 = (e * y0 - m * x0) * scale, (e * y1 - m * x1) * scale
        moved[0, 2 * k], moved[0, 2 * k + 1], moved[1, 2 * k], moved[1, 2 * k + 1] = a - z0, b - z1, c - w0, d - w1
        y_p, y_q = a - z0 + g * z0 + h * w0, b - z1 + g * z1 + h * w1
        y_s, y_t = c - w0 + i * z0 + j * w0, d - w1 + i * z1 + j * w1
        new[0, k], new[1, k], new[2, k], new[3, k] = y_p, y_q, y_s, y_t
        new[4, k] = decay * old[4, k] + y_p * p + y_q * q + y_s * s + y_t * t
        new[5, k] = decay * old[5, k] + y_q * p - y_p * q + y_t * s - y_s * t
        new[6, k] = decay * old[6, k] + y_p * y_p + y_q * y_q + y_s * y_s + y_t * y_t
        new[7, k] = old[6, k]
        new[8, k] = said / heard


@part
def _give(gain: Any, mine: Any, moved: Any, mid: Any, side: Any) -> None:
    for i in range(moved.shape[1]):
        k = i // 2
        mid[i] = mine * moved[0, i] - gain[0, k] * moved[0, i] - gain[1, k] * moved[1, i]
        side[i] = mine * moved[1, i] - gain[2, k] * moved[0, i] - gain[3, k] * moved[1, i]
