"""Gains between mid and side of stems on the CPU. Contract and formula: `kernels.reference.spatial_gains`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit, part
from kernels.reference import spatial_gains as formula

_FLOOR, _TINY, _MOST = np.float32(formula.FLOOR), np.float32(formula.TINY), np.float32(formula.MOST)
_LOADING, _ZERO, _ONE, _TWO = np.float32(formula.LOADING), np.float32(0), np.float32(1), np.float32(2)


def spatial_gains(
    masks: Tensor, spectrum: Tensor, edges: Tensor, decay: float, kept: Tensor, active: Tensor | None = None
) -> Tensor:
    """As :func:`kernels.reference.spatial_gains`; float32 and complex64 on the CPU, no gradients, else TypeError. What
    is kept must be contiguous (ValueError).
    """
    if (masks.dtype, spectrum.dtype, masks.device.type) != (torch.float32, torch.complex64, "cpu"):
        raise TypeError(f"spatial_gains of numba takes float32 and complex64 on the CPU, got {masks.dtype}")
    if not kept.is_contiguous():
        raise ValueError("spatial_gains of numba changes a contiguous tensor only")
    slots, sets, stems, _, columns, bands = masks.shape
    gains = torch.empty(slots, sets, stems, 2, 2, columns, bands)
    moves = np.ones(slots, dtype=np.bool_) if active is None else array(active)
    _gains(
        array(masks), array(spectrum).view(np.float32), array(edges), np.float32(decay), kept.numpy(), moves,
        gains.numpy().reshape(slots, sets, stems, 4, columns, bands),
    )  # fmt: skip
    return gains


@jit
def _gains(
    masks: Any,  # [B, G, S, sides, R, M]
    spectrum: Any,  # [B, sides, R, 2·F]
    edges: Any,  # [M + 1]
    decay: Any,
    kept: Any,  # [B, G, S, 3, M], changed in place
    moves: Any,  # [B] bool
    gains: Any,  # [B, G, S, 4, R, M]
) -> None:
    slots, sets, stems, _, columns, bands = masks.shape
    x = np.empty((columns, 3, bands), np.float32)
    history, c = np.empty((stems, 3, bands), np.float32), np.empty((stems, 3, bands), np.float32)
    inverse = np.empty((3, bands), np.float32)
    for b in range(slots):
        for r in range(columns):
            _powers(spectrum[b, 0, r], spectrum[b, 1, r], edges, x[r])
        for g in range(sets):
            history[:] = kept[b, g]
            for r in range(columns):
                for s in range(stems):
                    _place(masks[b, g, s, 0, r], masks[b, g, s, 1, r], x[r], decay, history[s], c[s])
                _invert_sum(c, inverse)
                for s in range(stems):
                    _scale(c[s], inverse, x[r])
                _invert_sum(c, inverse)
                for s in range(stems):
                    _give(c[s], inverse, x[r], history[s], gains[b, g, s, :, r])
            if moves[b]:
                kept[b, g] = history


@part
def _powers(mid: Any, side: Any, edges: Any, x: Any) -> None:
    for m in range(len(edges) - 1):
        first, second, both = np.float32(0), np.float32(0), np.float32(0)
        for i in range(2 * edges[m], 2 * edges[m + 1]):
            first += mid[i] * mid[i]
            second += side[i] * side[i]
            both += mid[i] * side[i]
        x[0, m], x[1, m], x[2, m] = first + _FLOOR, second + _FLOOR, both


@part
def _place(masked_mid: Any, masked_side: Any, x: Any, decay: Any, history: Any, c: Any) -> None:
    for i in range(x.shape[1]):
        m, s = masked_mid[i], masked_side[i]
        mid, side = m * x[0, i], s * x[1, i]
        old_mid, old_side, old_both = decay * history[0, i], decay * history[1, i], decay * history[2, i]
        history[0, i], history[1, i], history[2, i] = old_mid, old_side, old_both
        old_mid, old_side, old_both = old_mid + m * mid, old_side + s * side, old_both + m * s * x[2, i]
        wide, narrow = np.sqrt(mid * old_mid), np.sqrt(side * old_side)
        power = (mid + side) / (wide + narrow + _TINY)
        mid, side = power * wide, power * narrow
        correlation = old_both / (np.sqrt(old_mid) * np.sqrt(old_side) + _TINY)
        correlation = correlation if not correlation > _MOST else _MOST  # NaN stays
        correlation = correlation if not correlation < -_MOST else -_MOST
        both = correlation * np.sqrt(mid * side)
        c[0, i], c[1, i], c[2, i] = mid, side, both


@part
def _invert_sum(c: Any, inverse: Any) -> None:
    """Of the covariances of all stems."""
    for i in range(c.shape[2]):
        mid, side, both = _ZERO, _ZERO, _ZERO
        for s in range(len(c)):
            mid += c[s, 0, i]
            side += c[s, 1, i]
            both += c[s, 2, i]
        scale = _ONE / (mid * side - both * both)
        inverse[0, i], inverse[1, i], inverse[2, i] = side * scale, mid * scale, -both * scale


@part
def _filter(mid: Any, side: Any, both: Any, first: Any, second: Any, cross: Any) -> Any:
    """A covariance times an inverse."""
    return (
        mid * first + both * cross, both * second + mid * cross,
        both * first + side * cross, side * second + both * cross,
    )  # fmt: skip


@part
def _seen(gain: Any, mid: Any, side: Any, both: Any, x: Any, y: Any, z: Any) -> Any:
    """``x``, ``y``, ``z``: of the mixture mid, side and both."""
    a, b, d, e = gain
    first = a * a * x + b * b * y + _TWO * a * b * z + (_ONE - a) * mid - b * both
    second = d * d * x + e * e * y + _TWO * d * e * z + (_ONE - e) * side - d * both
    return (
        first if not first < _ZERO else _ZERO,  # NaN stays
        second if not second < _ZERO else _ZERO,
        a * d * x + b * e * y + (a * e + b * d) * z + (_ONE - a) * both - b * side,
    )


@part
def _scale(c: Any, inverse: Any, x: Any) -> None:
    for i in range(c.shape[1]):
        mid, side, both = c[0, i], c[1, i], c[2, i]
        gain = _filter(mid, side, both, inverse[0, i], inverse[1, i], inverse[2, i])
        first, second, cross = _seen(gain, mid, side, both, x[0, i], x[1, i], x[2, i])
        load = _LOADING * (mid + side)
        p, q = mid + load, side + load
        found = q * first + p * second - _TWO * both * cross
        found = found if not found < _ZERO else _ZERO
        scale = (found + _TINY) / (q * mid + p * side - _TWO * both * both + _TINY)
        c[0, i], c[1, i], c[2, i] = mid * scale, side * scale, both * scale


@part
def _give(c: Any, inverse: Any, x: Any, history: Any, gains: Any) -> None:
    for i in range(c.shape[1]):
        mid, side, both = c[0, i], c[1, i], c[2, i]
        gain = _filter(mid, side, both, inverse[0, i], inverse[1, i], inverse[2, i])
        first, second, cross = _seen(gain, mid, side, both, x[0, i], x[1, i], x[2, i])
        history[0, i] += first
        history[1, i] += second
        history[2, i] += cross
        gains[0, i], gains[1, i], gains[2, i], gains[3, i] = gain
