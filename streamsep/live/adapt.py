"""Plays a sound a little faster or slower: up to some hundred ppm, changing all the time. Knows no clocks.

Each output sample is a windowed sinc between input samples, its phase interpolated from a table. At a speed of exactly
1 from a whole phase on, samples pass through untouched. Constant delay of ``DELAY`` samples.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
DELAY = 24  # input samples on each side of an output
_PHASES = 512  # linear interpolation between them is exact to −100 dB
_BETA = 9.0  # of the Kaiser window: −90 dB


class AdaptiveResampler:
    """``pull(n, speed, source)`` gives ``n`` samples; ``source(m)`` is asked for as many as that takes."""

    def __init__(self, channels: int) -> None:
        self._buffer = np.zeros((channels, 2 * DELAY), np.float32)
        self._phase = 0.0  # of the next output, past buffer[:, DELAY]

    def pull(self, count: int, speed: float, source: Callable[[int], Sound]) -> Sound:
        """``[channels, count]``. ``speed``: input samples an output sample, near 1."""
        if speed == 1 and self._phase == 0:
            self._buffer = np.concatenate([self._buffer, source(count)], axis=1)
            out = self._buffer[:, DELAY : DELAY + count].copy()
            self._buffer = self._buffer[:, count:]
            return out
        time = self._phase + speed * np.arange(count + 1)
        base = np.floor(time).astype(np.int64)
        missing = int(base[-1]) + 2 * DELAY - self._buffer.shape[1]
        self._buffer = np.concatenate([self._buffer, source(max(0, missing))], axis=1)
        phase = (time - base)[:-1] * _PHASES
        row = phase.astype(np.int64)
        part = (phase - row).astype(np.float32)[:, None]
        table = _table()
        taps = table[row] * (1 - part) + table[row + 1] * part
        windows = np.lib.stride_tricks.sliding_window_view(self._buffer, 2 * DELAY, axis=1)
        out = np.einsum("cmt,mt->cm", windows[:, base[:-1]], taps)
        self._buffer = self._buffer[:, base[-1] :].copy()
        self._phase = float(time[-1] - base[-1])
        return out


@functools.lru_cache(maxsize=1)
def _table() -> NDArray[np.float32]:
    """``[phases + 1, 2 · DELAY]``: taps over buffer[base … base + 2·DELAY − 1] of an output DELAY past ``base``."""
    phase = np.arange(_PHASES + 1)[:, None] / _PHASES
    offset = np.arange(2 * DELAY)[None, :] - DELAY - phase
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (offset / (DELAY + 1)) ** 2, 0, None))) / np.i0(_BETA)
    table = np.sinc(offset) * window
    small = (table / table.sum(axis=1, keepdims=True)).astype(np.float32)
    small.flags.writeable = False
    return small
