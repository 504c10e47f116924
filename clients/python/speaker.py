"""What stands between a network and a loudspeaker: an adaptive jitter buffer. Knows samples; opens no device.

Starts with 80 ms in the buffer; every underrun makes it 20 ms more, a calm minute 10 ms less. What lay in it for three
seconds without need, and what is above the most, is skipped with a cross-fade. Stops and starts are faded: no clicks.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

START, LEAST, MOST = 0.08, 0.04, 0.6  # seconds in the buffer
STEP, CALM = 0.02, 60.0  # what an underrun adds; after which time without one half of that is taken back
SPARE, WATCH = 0.04, 3.0  # what may be too much, and for how long
FADE, CROSS = 0.005, 0.02


class Speaker:
    """``push`` from the network's thread, ``pull`` from the device's. ``underruns`` and ``skipped`` samples so far."""

    def __init__(self, rate: int, channels: int) -> None:
        self.underruns = self.skipped = 0
        self.target = round(START * rate)
        self._rate = rate
        self._lock = threading.Lock()
        self._sound = np.zeros((0, channels), np.float32)
        self._playing = False
        self._calm = self._watched = 0
        self._least: int | None = None

    @property
    def waiting(self) -> int:
        """Samples in the buffer."""
        return len(self._sound)

    def push(self, sound: Samples, missing: int = 0) -> None:
        """``sound`` [channels, n] behind ``missing`` samples that never came."""
        parts = [self._sound, np.zeros((min(missing, self._rate), len(sound)), np.float32), sound.T]
        with self._lock:
            parts[0] = self._sound
            self._sound = np.concatenate(parts)

    def pull(self, count: int) -> Samples:
        """[count, channels] to be played now; silence while there is nothing."""
        with self._lock:
            if not self._playing and len(self._sound) < max(self.target, count):
                return np.zeros((count, self._sound.shape[1]), np.float32)
            starts, self._playing = not self._playing, True
            if len(self._sound) < count:
                return self._run_dry(count, starts)
            out = self._take(count)
            if starts:
                _fade(out, self._rate, 0, 1)
            return out

    def _take(self, count: int) -> Samples:
        over = self._spare(count)
        out = self._sound[:count].copy()
        if over:
            cross = min(count, round(CROSS * self._rate))
            weight = np.linspace(0, 1, cross, dtype=np.float32)[:, None]
            later = self._sound[over : over + count]
            out[:cross] = out[:cross] * (1 - weight) + later[:cross] * weight
            out[cross:] = later[cross:]
            self.skipped += over
        self._sound = self._sound[over + count :]
        return out

    def _run_dry(self, count: int, starts: bool) -> Samples:
        out = np.zeros((count, self._sound.shape[1]), np.float32)
        rest = self._sound.copy()
        _fade(rest[::-1], self._rate, 0, 1)
        if starts:
            _fade(rest, self._rate, 0, 1)
        out[: len(rest)] = rest
        self._sound = self._sound[:0]
        self._playing = False
        self.underruns += 1
        self._calm = self._watched = 0
        self._least = None
        self.target = min(round(MOST * self._rate), self.target + round(STEP * self._rate))
        return out

    def _spare(self, count: int) -> int:
        """Samples to be skipped now."""
        left = len(self._sound) - count
        self._least = left if self._least is None else min(self._least, left)
        self._watched += count
        self._calm += count
        if self._calm > CALM * self._rate:
            self._calm = 0
            self.target = max(round(LEAST * self._rate), self.target - round(STEP * self._rate / 2))
        over = 0
        if left > self.target + MOST * self._rate:
            over = left - self.target
        elif self._watched >= WATCH * self._rate:
            over = self._least - self.target
            over = over if over > SPARE * self._rate else 0
            self._watched, self._least = 0, None
        return over if left - over >= 0 else 0


def _fade(sound: Samples, rate: int, low: float, high: float) -> None:
    """In place, from ``low`` to ``high`` over the beginning."""
    count = min(len(sound), round(FADE * rate))
    sound[:count] *= np.linspace(low, high, count, dtype=np.float32)[:, None]
