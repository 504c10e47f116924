"""Cheap changes to a stem ``[2, n]`` float32 that make a small pool endless: speed, tilt, side and level."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from kernels.numba.compile import jit

Sound = NDArray[np.float32]


@jit
def read_int16(source: NDArray[np.int16], start: int, step: float, out: Sound) -> None:
    """``out[c, i] = source[c, start + i * step]`` as float, by cubic interpolation unless ``step`` is 1."""
    channels, n = out.shape
    scale = np.float32(1.0 / 32768.0)
    for c in range(channels):
        if step == 1.0:
            for i in range(n):
                out[c, i] = scale * source[c, start + i]
            continue
        last = source.shape[1] - 1
        for i in range(n):
            p = i * step
            k = int(p)
            f = np.float32(p - k)
            k += start
            x0 = np.float32(source[c, max(k - 1, 0)])
            x1 = np.float32(source[c, k])
            x2 = np.float32(source[c, min(k + 1, last)])
            x3 = np.float32(source[c, min(k + 2, last)])
            y = x1 + np.float32(0.5) * f * (
                x2 - x0 + f * (2 * x0 - 5 * x1 + 4 * x2 - x3 + f * (3 * (x1 - x2) + x3 - x0))
            )
            out[c, i] = scale * y


@jit
def tilt_and_place(x: Sound, pole: float, low: float, high: float, matrix: Sound) -> None:
    """In place: what lies below a one-pole's corner times ``low``, above it times ``high``; then 2 × 2 ``matrix``."""
    s0 = np.float32(0.0)
    s1 = np.float32(0.0)
    a = np.float32(pole)
    lo = np.float32(low)
    hi = np.float32(high)
    for i in range(x.shape[1]):
        s0 += a * (x[0, i] - s0)
        s1 += a * (x[1, i] - s1)
        y0 = lo * s0 + hi * (x[0, i] - s0)
        y1 = lo * s1 + hi * (x[1, i] - s1)
        x[0, i] = matrix[0, 0] * y0 + matrix[0, 1] * y1
        x[1, i] = matrix[1, 0] * y0 + matrix[1, 1] * y1


@jit
def comb(x: Sound, delay: int, gain: float, feedback: bool) -> None:
    """In place: ``gain`` times what was ``delay`` samples before is added; of the output with ``feedback``."""
    for c in range(x.shape[0]):
        for j in range(x.shape[1] - delay):
            i = delay + j if feedback else x.shape[1] - 1 - j  # backwards, so that what is read is not yet changed
            x[c, i] += np.float32(gain) * x[c, i - delay]


@jit
def drive(x: Sound, amount: float, bias: float) -> None:
    """In place: an overdriven amplifier. ``amount`` is how far above its knee a root mean square is, ``bias`` moves
    the knee and so adds even harmonics. The energy stays."""
    energy = np.float32(0.0)
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            energy += x[c, i] * x[c, i]
    if energy < 1e-12:
        return
    gain = np.float32(amount / np.sqrt(energy / x.size))
    knee = np.float32(bias / (1.0 + abs(bias)))
    after = np.float32(0.0)
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            y = gain * x[c, i] + np.float32(bias)
            x[c, i] = y / (np.float32(1.0) + abs(y)) - knee
            after += x[c, i] * x[c, i]
    level = np.float32(np.sqrt(energy / max(after, np.float32(1e-20))))
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[c, i] *= level


def roughen(rng: Generator, x: Sound, rate: int) -> None:
    """Make another sound of a stem, in place: through a comb of 0.3 to 15 ms, an overdriven amplifier, or both."""
    kind = rng.random()
    if kind < 0.65:
        seconds = float(np.exp(rng.uniform(math.log(0.3e-3), math.log(15e-3))))
        gain = float(rng.uniform(0.25, 0.7)) * (1 if rng.random() < 0.5 else -1)
        comb(x, min(round(seconds * rate), x.shape[1]), gain, bool(rng.random() < 0.5))
    if kind > 0.45:
        drive(x, float(np.exp(rng.uniform(math.log(0.15), math.log(3.0)))), float(rng.uniform(-0.5, 0.5)))


def random_tilt(rng: Generator, rate: int) -> tuple[float, float, float]:
    """Pole, low gain and high gain of a shelf: corner 150 Hz to 6 kHz, up to ±6 dB a side."""
    hz = float(np.exp(rng.uniform(math.log(150), math.log(6_000))))
    pole = 1.0 - math.exp(-2 * math.pi * hz / rate)
    low, high = (10 ** (float(np.clip(rng.normal(0, 2.5), -6, 6)) / 20) for _ in range(2))
    return pole, low, high


def random_placement(rng: Generator, mono: float, move: float) -> NDArray[np.float32]:
    """A 2 × 2 matrix: sides swapped half the time, polarity flipped half the time, with the chance ``mono`` both sides
    made equal, with the chance ``move`` another width and balance."""
    matrix = np.eye(2)
    if rng.random() < mono:
        matrix = np.full((2, 2), 0.5)
    elif rng.random() < move:
        width = float(rng.uniform(0.3, 1.5))
        matrix = np.array([[1 + width, 1 - width], [1 - width, 1 + width]]) / 2
    if rng.random() < move:
        angle = float(np.clip(rng.normal(0, 0.3), -0.8, 0.8) + 1) * math.pi / 4
        matrix = np.diag([math.sqrt(2) * math.cos(angle), math.sqrt(2) * math.sin(angle)]) @ matrix
    if rng.random() < 0.5:
        matrix = matrix[::-1]
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return np.ascontiguousarray(sign * matrix, np.float32)
