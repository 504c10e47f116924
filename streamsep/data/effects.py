"""What a mixing desk does to a stem ``[2, n]`` float32 at 48 kHz, with settings drawn at random. Knows no music."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import oaconvolve, sosfilt

from streamsep.config import SAMPLE_RATE
from streamsep.data.dsp import follow, warp

Sound = NDArray[np.float32]

_LEVEL_STEP = 64  # samples between points of a compressor's gain


def clock(n: int) -> Sound:
    """The time in seconds of ``n`` samples."""
    return np.asarray(np.arange(n) / SAMPLE_RATE, np.float32)


def biquad(kind: str, hz: float, gain_db: float = 0.0, q: float = 0.7) -> NDArray[np.float64]:
    """Second-order section of kind low, high, peak, lowshelf or highshelf (Bristow-Johnson's cookbook, 1998)."""
    w = 2 * math.pi * min(hz, 0.45 * SAMPLE_RATE) / SAMPLE_RATE
    a, c, alpha = 10 ** (gain_db / 40), math.cos(w), math.sin(w) / (2 * q)
    if kind == "low":
        row = ((1 - c) / 2, 1 - c, (1 - c) / 2, 1 + alpha, -2 * c, 1 - alpha)
    elif kind == "high":
        row = ((1 + c) / 2, -1 - c, (1 + c) / 2, 1 + alpha, -2 * c, 1 - alpha)
    elif kind == "peak":
        row = (1 + alpha * a, -2 * c, 1 - alpha * a, 1 + alpha / a, -2 * c, 1 - alpha / a)
    else:
        s = 1 if kind == "lowshelf" else -1
        r = 2 * math.sqrt(a) * alpha
        row = (
            a * ((a + 1) - s * (a - 1) * c + r),
            s * 2 * a * ((a - 1) - s * (a + 1) * c),
            a * ((a + 1) - s * (a - 1) * c - r),
            (a + 1) + s * (a - 1) * c + r,
            -s * 2 * ((a - 1) + s * (a + 1) * c),
            (a + 1) + s * (a - 1) * c - r,
        )
    return np.array([row], np.float64) / row[3]


def filtered(x: NDArray[Any], *sections: NDArray[np.float64]) -> Sound:
    """Through the sections, one after the other, along the last axis."""
    return np.asarray(sosfilt(np.concatenate(sections), x, axis=-1), np.float32)


def random_eq(x: Sound, rng: Generator, depth: float = 1.0) -> Sound:
    """One to four shelves and peaks of up to ±8 dB times ``depth``."""
    sections = [
        biquad("lowshelf", float(rng.uniform(80, 300)), float(rng.normal(0, 3)) * depth),
        biquad("highshelf", float(np.exp(rng.uniform(np.log(2_500), np.log(12_000)))), float(rng.normal(0, 4)) * depth),
    ]
    for _ in range(int(rng.integers(0, 3))):
        hz = float(np.exp(rng.uniform(np.log(150), np.log(9_000))))
        sections.append(biquad("peak", hz, float(rng.normal(0, 3.5)) * depth, float(rng.uniform(0.5, 2.5))))
    return filtered(x, *sections)


def compress(x: Sound, threshold_db: float, ratio: float, attack: float = 0.008, release: float = 0.12) -> Sound:
    """Feed-forward compressor linked over the channels, gain moving every 64 samples; times in seconds."""
    n = x.shape[1]
    blocks = -(-n // _LEVEL_STEP)
    padded = np.zeros(blocks * _LEVEL_STEP, np.float32)
    np.max(np.abs(x), axis=0, out=padded[:n])
    level = padded.reshape(blocks, _LEVEL_STEP).max(1)
    smooth = np.empty_like(level)
    step = _LEVEL_STEP / SAMPLE_RATE
    follow(level, 1 - math.exp(-step / attack), 1 - math.exp(-step / release), smooth)
    over = np.maximum(0.0, 20 * np.log10(smooth + 1e-6) - threshold_db)
    gain = 10 ** (-over * (1 - 1 / ratio) / 20)
    at = np.arange(blocks) * _LEVEL_STEP + _LEVEL_STEP / 2
    return x * np.interp(np.arange(n), at, gain).astype(np.float32)


def saturate(x: Sound, drive_db: float) -> Sound:
    """Soft clipping that keeps the loudness of what lies below it."""
    gain = np.float32(10 ** (drive_db / 20))
    return np.asarray(np.tanh(x * gain) / gain, np.float32)


def room(rng: Generator, seconds: float) -> Sound:
    """An impulse response ``[2, n]`` of unit energy: a few early reflections, then noise, duller as it dies.

    ``seconds`` is the time to −60 dB.
    """
    n = int(SAMPLE_RATE * min(seconds, 3.0))
    t = clock(n)
    noise = rng.standard_normal((2, n), np.float32)
    dark = filtered(noise, biquad("low", float(rng.uniform(900, 3_500))))
    slope = np.float32(6.9 / seconds)
    tail = dark * np.exp(-slope * t) + 0.5 * noise * np.exp(-slope * float(rng.uniform(1.5, 4.0)) * t)
    tail = filtered(np.asarray(tail, np.float32), biquad("high", float(rng.uniform(80, 350))))
    delay = int(SAMPLE_RATE * rng.uniform(0.0, 0.03))
    tail[:, :delay] = 0
    for _ in range(int(rng.integers(3, 9))):
        at = int(SAMPLE_RATE * rng.uniform(0.002, 0.04))
        if at < n:
            tail[:, at] += rng.normal(0, 3.0, 2).astype(np.float32)
    return np.asarray(tail / np.sqrt(np.sum(tail**2) / 2 + 1e-9), np.float32)


def reverb(x: Sound, impulse: Sound, wet: float) -> Sound:
    """``x`` with ``wet`` times its reverberation added; the tail past the end is cut off."""
    n = x.shape[1]
    tails = np.stack([oaconvolve(x[c], impulse[c])[:n] for c in range(2)])
    return np.asarray(x + np.float32(wet) * tails, np.float32)


def echo(x: Sound, seconds: float, feedback: float, wet: float, ping_pong: bool) -> Sound:
    """Repeats every ``seconds``, each ``feedback`` times the last, sides changing when ``ping_pong``."""
    step = max(1, int(seconds * SAMPLE_RATE))
    out, gain, source = x.copy(), wet, x
    for k in range(1, 7):
        if k * step >= x.shape[1] or gain < 0.01:
            break
        source = source[::-1] if ping_pong else source
        out[:, k * step :] += np.float32(gain) * source[:, : -k * step]
        gain *= feedback
    return out


def chorus(x: Sound, rng: Generator, wet: float = 0.6, depth_ms: float = 3.0) -> Sound:
    """Two wandering delays, one a side: widens and thickens."""
    n = x.shape[1]
    at = np.arange(n, dtype=np.float64)
    wandering = np.empty(n, np.float32)
    out = x.copy()
    for side in range(2):
        hz, phase = float(rng.uniform(0.15, 1.2)), float(rng.uniform(0, 2 * np.pi))
        base = float(rng.uniform(8, 22)) / 1_000 * SAMPLE_RATE
        sweep = depth_ms / 1_000 * SAMPLE_RATE * np.sin(2 * np.pi * hz / SAMPLE_RATE * at + phase)
        warp(np.ascontiguousarray(x[side]), at - base + sweep, wandering)
        out[side] += np.float32(wet) * wandering
    return out


def place(x: Sound, pan: float, width: float) -> Sound:
    """Equal-power pan (−1 left … 1 right) after scaling the side signal by ``width`` (0 mono, 1 as is)."""
    mid, side = (x[0] + x[1]) / 2, (x[0] - x[1]) / 2 * np.float32(width)
    angle = (pan + 1) * math.pi / 4
    left, right = math.sqrt(2) * math.cos(angle), math.sqrt(2) * math.sin(angle)
    return np.stack([np.float32(left) * (mid + side), np.float32(right) * (mid - side)])


def pump(x: Sound, times: Sequence[float], depth: float, release: float) -> Sound:
    """Duck at each of ``times`` (seconds) by ``depth`` (0 to 1), back after ``release`` seconds."""
    n = x.shape[1]
    gain = np.ones(n, np.float32)
    length = int(release * SAMPLE_RATE)
    shape = (1 - depth * (1 - np.linspace(0, 1, length, dtype=np.float32) ** 1.5)).astype(np.float32)
    for time in times:
        at = int(time * SAMPLE_RATE)
        if 0 <= at < n:
            gain[at : at + length] = np.minimum(gain[at : at + length], shape[: n - at])
    return x * gain
