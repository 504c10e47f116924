"""Features of bins, their products and the norm of bands on the CPU. Contract: `kernels.reference.band_embedding`.

Numbers of a kind lie side by side, bin after bin, so that loops over bins become vectors; in products the outputs do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit, part
from kernels.numba.kept import kept_numbers
from kernels.numba.logarithm import log10
from kernels.reference.band_embedding import EPS, FEATURES, RESOLVED, BandWeights

_EPS, _SMALL = np.float32(EPS), np.float32(1e-8)
_NO_PAST = np.empty((0, 0, 2, 2, 0, 2), np.float32)


def band_embedding(
    weights: BandWeights,
    edges: Sequence[int],
    spectrum: Tensor,
    level: Tensor,
    past: Tensor | None = None,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.band_embedding`; complex64 and float32 on the CPU, no gradients, else TypeError.

    ``past`` must be contiguous (ValueError).
    """
    if (spectrum.dtype, level.dtype, level.device.type) != (torch.complex64, torch.float32, "cpu"):
        raise TypeError(f"the numba band embedding takes complex64 on the CPU, got {spectrum.dtype}, {level.dtype}")
    if past is not None and not past.is_contiguous():
        raise ValueError("band_embedding of numba moves a contiguous past only")
    slots = len(level)
    out = torch.empty(slots, len(edges) - 1, weights.norm.shape[0])
    moves = np.ones(slots, dtype=np.bool_) if active is None else array(active)
    columns = array(spectrum.resolve_conj()).view(np.float32).reshape(slots, 2, 2, -1, 2)
    kept = _NO_PAST if past is None else past.numpy()
    _embed(kept_numbers(weights), _edges(tuple(edges)), columns, array(level), kept, moves, out.numpy())
    return out


@lru_cache(maxsize=8)
def _edges(edges: tuple[int, ...]) -> Any:
    return np.array(edges)


@jit
def _embed(
    weights: Any,  # of a BandWeights
    edges: Any,  # [N + 1]
    spectrum: Any,  # [B, 2, 2, F, 2]
    level: Any,  # [B]
    past: Any,  # [B, C/2 - 1, 2, 2, L, 2], changed in place
    moves: Any,  # [B] bool
    out: Any,  # [B, N, D]
) -> None:
    w, v, bias, norm, position, filters = weights
    slots, bins, low = spectrum.shape[0], spectrum.shape[3], past.shape[4]
    logs = np.empty((slots, 4 * bins + RESOLVED * low), np.float32)  # mid, side, mid, side; the parts
    panorama = np.empty((slots, 2, bins), np.float32)
    span = np.empty((filters.shape[0], low), np.float32)
    for b in range(slots):
        if moves[b]:
            _hear(spectrum, level, b, logs, panorama)
            _resolve(spectrum, level, filters, past, span, b, logs)
            for i in range(logs.shape[1]):
                logs[b, i] = (log10(logs[b, i]) + np.float32(2)) * np.float32(1 / 3)
    y = np.empty(out.shape[2], np.float32)
    for n in range(out.shape[1]):
        first, last = edges[n], edges[n + 1]
        for b in range(slots):  # of a band at a time: its weights stay in a cache
            if moves[b]:
                for i in range(y.shape[0]):
                    y[i] = bias[n, i]
                _add_features(logs, panorama, w, b, first, last, y)
                _add_parts(logs, v, 4 * bins, low, b, first, min(last, low), y)
                _norm(y, norm, position, out, b, n)
            else:
                out[b, n, :] = np.float32(0)


@part
def _hear(spectrum: Any, level: Any, b: int, logs: Any, panorama: Any) -> None:
    """The powers of a slot's columns, and where between the sides they are."""
    bins = spectrum.shape[3]
    unit = level[b] * np.float32(bins)
    scale, least = np.float32(1) / unit, _SMALL * unit
    for t in range(2):
        mid = 2 * t * bins
        for f in range(bins):
            a, d = spectrum[b, 0, t, f, 0], spectrum[b, 0, t, f, 1]
            c, e = spectrum[b, 1, t, f, 0], spectrum[b, 1, t, f, 1]
            p, q = a * a + d * d, c * c + e * e
            logs[b, mid + f] = p * scale + _SMALL
            logs[b, mid + bins + f] = q * scale + _SMALL
            panorama[b, t, f] = np.float32(2) * (a * c + d * e) / (p + q + least)


@part
def _resolve(spectrum: Any, level: Any, filters: Any, past: Any, span: Any, b: int, logs: Any) -> None:
    """The powers of the parts of a slot's bins; its past moves on. ``span`` [2·C, L] is scratch."""
    before, bins, low = past.shape[1], spectrum.shape[3], past.shape[4]
    scale = np.float32(1) / (level[b] * np.float32(bins))
    re, im = np.empty(low, np.float32), np.empty(low, np.float32)
    for side in range(2):
        for t in range(2):
            for k in range(before):
                row = 4 * k + 2 * t
                for f in range(low):
                    span[row, f] = past[b, k, side, t, f, 0]
                    span[row + 1, f] = past[b, k, side, t, f, 1]
            row = 4 * before + 2 * t
            for f in range(low):
                turn = np.float32(1 - 2 * (t * f & 1))
                span[row, f] = spectrum[b, side, t, f, 0] * turn
                span[row + 1, f] = spectrum[b, side, t, f, 1] * turn
            for k in range(before):
                row = 4 * (k + 1) + 2 * t
                for f in range(low):
                    past[b, k, side, t, f, 0] = span[row, f]
                    past[b, k, side, t, f, 1] = span[row + 1, f]
        for p in range(RESOLVED // 2):
            re[:] = np.float32(0)
            im[:] = np.float32(0)
            for k in range(0, span.shape[0], 2):
                a, c = filters[k, 2 * p], filters[k + 1, 2 * p]
                d, e = filters[k, 2 * p + 1], filters[k + 1, 2 * p + 1]
                for f in range(low):
                    re[f] += a * span[k, f] + c * span[k + 1, f]
                    im[f] += d * span[k, f] + e * span[k + 1, f]
            first = 4 * bins + (side * (RESOLVED // 2) + p) * low
            for f in range(low):
                logs[b, first + f] = (re[f] * re[f] + im[f] * im[f]) * scale + _SMALL


@part
def _add_features(logs: Any, panorama: Any, w: Any, b: int, first: int, last: int, y: Any) -> None:
    """y [D] += the features of the bins first … last - 1 times their rows."""
    bins = panorama.shape[2]
    for f in range(first, last):
        r = FEATURES * f
        a0, a1, a2 = logs[b, f], logs[b, bins + f], panorama[b, 0, f]
        a3, a4, a5 = logs[b, 2 * bins + f], logs[b, 3 * bins + f], panorama[b, 1, f]
        for i in range(y.shape[0]):
            lower = a0 * w[r, i] + a1 * w[r + 1, i] + a2 * w[r + 2, i]
            y[i] += lower + (a3 * w[r + 3, i] + a4 * w[r + 4, i] + a5 * w[r + 5, i])


@part
def _add_parts(logs: Any, v: Any, start: int, low: int, b: int, first: int, last: int, y: Any) -> None:
    """y [D] += the parts of the bins first … last - 1 times their rows; the parts begin at ``start``."""
    for f in range(first, last):
        for p in range(0, RESOLVED, 4):
            r, at = RESOLVED * f + p, start + p * low + f
            a0, a1, a2, a3 = logs[b, at], logs[b, at + low], logs[b, at + 2 * low], logs[b, at + 3 * low]
            for i in range(y.shape[0]):
                y[i] += a0 * v[r, i] + a1 * v[r + 1, i] + a2 * v[r + 2, i] + a3 * v[r + 3, i]


@part
def _norm(y: Any, norm: Any, position: Any, out: Any, b: int, n: int) -> None:
    """out[b, n] = rms_norm(y) · norm + position[n]."""
    total = np.float32(0)
    for i in range(y.shape[0]):
        total += y[i] * y[i]
    scale = np.float32(1) / np.float32(math.sqrt(total / np.float32(y.shape[0]) + _EPS))
    for i in range(y.shape[0]):
        out[b, n, i] = y[i] * scale * norm[i] + position[n, i]
