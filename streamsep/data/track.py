"""A stem while it is being recorded: a stereo buffer that sounds are added to. Knows samples and seconds only."""

from __future__ import annotations

import math

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data.dsp import stretch_grains, warp

Sound = NDArray[np.float32]


class Track:
    """``sound`` is ``[2, n]``; what reaches past the end is cut off."""

    def __init__(self, samples: int) -> None:
        self.sound: Sound = np.zeros((2, samples), np.float32)

    def add(self, x: Sound, seconds: float, gain: float = 1.0, pan: float = 0.0) -> None:
        """Add ``x`` ``[n]`` or ``[2, n]`` at a time, panned (−1 left … 1 right) with equal power."""
        at = round(seconds * SAMPLE_RATE)
        if at < 0:
            x, at = x[..., -at:], 0
        room = self.sound.shape[1] - at
        if room <= 0 or x.shape[-1] == 0:
            return
        x = x[..., :room]
        angle = (pan + 1) * math.pi / 4
        sides = (math.sqrt(2) * math.cos(angle) * gain, math.sqrt(2) * math.sin(angle) * gain)
        for side in range(2):
            source = x if x.ndim == 1 else x[side % x.shape[0]]
            self.sound[side, at : at + x.shape[-1]] += np.float32(sides[side]) * source


def repitch(x: Sound, semitones: float) -> Sound:
    """Play ``[..., n]`` faster or slower: pitch, formants and length all change."""
    if abs(semitones) < 0.01:
        return x
    ratio = 2 ** (semitones / 12)
    moved = soxr.resample(np.ascontiguousarray(x.T), SAMPLE_RATE * ratio, SAMPLE_RATE, quality="MQ")
    return np.ascontiguousarray(np.asarray(moved, np.float32).T)


def stretch(x: Sound, ratio: float) -> Sound:
    """Make ``[n]`` or ``[channels, n]`` ``ratio`` times as long at the same pitch (WSOLA)."""
    if abs(ratio - 1) < 0.02:
        return x
    wave = np.ascontiguousarray(np.atleast_2d(x))
    hop, reach = 960, 480
    n = int(wave.shape[1] * ratio)
    count = max(1, n // hop - 1)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    out = np.zeros((wave.shape[0], (count + 1) * hop), np.float32)
    positions = np.round(np.arange(count) * hop / ratio).astype(np.int64)
    stretch_grains(wave, positions, hop, reach, window, out)
    return out if x.ndim == 2 else out[0]


def read_at(x: Sound, positions: NDArray[np.float64]) -> Sound:
    """``x [n]`` at fractional sample positions; zero outside."""
    out = np.empty(len(positions), np.float32)
    warp(np.ascontiguousarray(x), positions, out)
    return out


def faded(x: Sound, attack: float = 0.004, release: float = 0.02) -> Sound:
    """A copy with short ramps at both ends, times in seconds."""
    out = x.copy()
    rise = min(int(attack * SAMPLE_RATE), x.shape[-1] // 2)
    fall = min(int(release * SAMPLE_RATE), x.shape[-1] // 2)
    if rise:
        out[..., :rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    if fall:
        out[..., -fall:] *= np.linspace(1, 0, fall, dtype=np.float32)
    return out


def levelled(x: Sound, rms: float = 0.2) -> Sound:
    """Scaled so that the loudest tenth of a second has this RMS; silence stays silence."""
    mono = x if x.ndim == 1 else x.mean(0)
    block = 4_800
    if len(mono) <= block:
        loudest = float(np.sqrt(np.mean(mono**2)))
    else:
        count = len(mono) // block
        loudest = float(np.sqrt(np.max(np.mean(mono[: count * block].reshape(count, block) ** 2, axis=1))))
    return x * np.float32(rms / loudest) if loudest > 1e-5 else x * np.float32(0)
