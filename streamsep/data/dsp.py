"""Compiled loops that vector arithmetic cannot express. Knows arrays and coefficients; knows nothing of music."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.numba.compile import jit

Sound = NDArray[np.float32]


@jit
def warp(x: Sound, positions: NDArray[np.float64], out: Sound) -> None:
    """Catmull-Rom interpolation: ``out[i] = x(positions[i])``, zero outside ``x``. All one-dimensional."""
    n = len(x)
    for i in range(len(positions)):
        p = positions[i]
        k = int(np.floor(p))
        if k < 0 or k >= n - 1:
            out[i] = 0.0
            continue
        f = np.float32(p - k)
        b, c = x[k], x[k + 1]
        a = x[k - 1] if k > 0 else b
        d = x[k + 2] if k + 2 < n else c
        out[i] = b + np.float32(0.5) * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)))


@jit
def swept_lowpass(x: Sound, g: Sound, damping: float, out: Sound) -> None:
    """State-variable low-pass whose cutoff moves: ``g[i] = tan(pi f_i / rate)``, ``damping = 1 / Q``.

    Topology-preserving transform: Zavalishin, The Art of VA Filter Design, 2012, section 4.
    """
    s1 = 0.0
    s2 = 0.0
    for i in range(len(x)):
        gi = g[i]
        h = (x[i] - (damping + gi) * s1 - s2) / (1.0 + gi * (gi + damping))
        b = gi * h + s1
        s1 = gi * h + b
        low = gi * b + s2
        s2 = gi * b + low
        out[i] = low


@jit
def pluck(noise: Sound, period: float, decay: float, bright: float, out: Sound) -> None:
    """Karplus-Strong string: a delay line of ``period`` samples, started with ``noise``, damped at each turn.

    Karplus, Strong: Digital Synthesis of Plucked-String and Drum Timbres, Computer Music Journal 7(2), 1983.
    """
    n = int(period)
    f = period - n
    last = 0.0
    for i in range(len(out)):
        x = noise[i] if i < len(noise) and i <= n else 0.0
        if i > n:
            y = (1.0 - f) * out[i - n] + f * out[i - n - 1]
            last = bright * y + (1.0 - bright) * last
            x += decay * last
        out[i] = x


@jit
def resonators(x: Sound, a1: Sound, a2: Sound, gain: Sound, block: int, out: Sound) -> None:
    """Parallel two-pole resonators whose coefficients ``[resonators, blocks]`` hold for ``block`` samples each."""
    for r in range(a1.shape[0]):
        y1 = 0.0
        y2 = 0.0
        for i in range(len(x)):
            k = i // block
            y = gain[r, k] * x[i] - a1[r, k] * y1 - a2[r, k] * y2
            y2 = y1
            y1 = y
            out[i] += y


@jit
def follow(level: Sound, attack: float, release: float, out: Sound) -> None:
    """One-pole envelope follower with separate coefficients for rise and fall."""
    state = 0.0
    for i in range(len(level)):
        c = attack if level[i] > state else release
        state += c * (level[i] - state)
        out[i] = state


@jit
def stretch_grains(x: Sound, positions: NDArray[np.int64], hop: int, reach: int, window: Sound, out: Sound) -> None:
    """WSOLA: overlaps grains of ``x [channels, n]`` taken near ``positions``, each where it continues the last best.

    Verhelst, Roelands: An overlap-add technique based on waveform similarity, ICASSP 1993. ``window`` is ``2 * hop``
    long and its halves sum to one; ``reach`` is how far, in samples, a grain may move.
    """
    channels, n = x.shape
    size = 2 * hop
    natural = positions[0]
    for j in range(len(positions)):
        start = positions[j]
        if j > 0:
            best = -1.0e30
            chosen = start
            for shift in range(-reach, reach + 1, 4):
                s = start + shift
                if s < 0 or s + size > n:
                    continue
                dot = 0.0
                energy = 1.0e-6
                for i in range(0, hop, 4):
                    dot += x[0, s + i] * x[0, natural + i]
                    energy += x[0, s + i] * x[0, s + i]
                score = dot / np.sqrt(energy)
                if score > best:
                    best = score
                    chosen = s
            start = chosen
        if start < 0 or start + size > n:
            break
        at = j * hop
        for c in range(channels):
            for i in range(size):
                out[c, at + i] += window[i] * x[c, start + i]
        natural = start + hop
        if natural + size > n:
            break
