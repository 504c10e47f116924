"""Built-in instruments: one note in, samples out. Needs no recording. Knows pitch, length and loudness, no song."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data.dsp import pluck, swept_lowpass
from streamsep.data.effects import biquad, clock, filtered

Sound = NDArray[np.float32]


def hertz(pitch: float) -> float:
    return 440.0 * 2 ** ((pitch - 69.0) / 12.0)


def envelope(n: int, attack: float, decay: float, sustain: float, release: float) -> Sound:
    """Attack, exponential decay to ``sustain``, linear release within the last ``release`` seconds of ``n``."""
    t = clock(n)
    shape = sustain + (1 - sustain) * np.exp(-np.maximum(t - attack, 0) / max(decay, 1e-3) * 3)
    shape *= np.minimum(1.0, t / max(attack, 1e-3))
    tail = min(n, max(1, int(release * SAMPLE_RATE)))
    shape[n - tail :] *= np.linspace(1, 0, tail, dtype=np.float32)
    return shape.astype(np.float32)


def glide(pitch: float, n: int, vibrato: float = 0.0, rate: float = 5.5, scoop: float = 0.0) -> NDArray[np.float64]:
    """Phase in turns of a note with vibrato (semitones, after 0.25 s) that starts ``scoop`` semitones off."""
    t = np.arange(n) / SAMPLE_RATE
    bend = scoop * np.exp(-t / 0.05)
    if vibrato:
        bend = bend + vibrato * np.minimum(1, np.maximum(0, t - 0.2) / 0.3) * np.sin(2 * np.pi * rate * t)
    return np.cumsum(hertz(pitch) / SAMPLE_RATE * 2 ** (bend / 12))


def saw(phase: NDArray[np.float64]) -> Sound:
    """Sawtooth with its jump smoothed over two samples (PolyBLEP: Välimäki, Huovilainen, 2007)."""
    step = float(np.mean(np.diff(phase[:64]))) if len(phase) > 1 else 0.01
    frac = phase % 1.0
    out = 2 * frac - 1
    near, far = frac < step, frac > 1 - step
    x = frac[near] / step
    out[near] -= x + x - x * x - 1
    x = (frac[far] - 1) / step
    out[far] -= x * x + x + x + 1
    return out.astype(np.float32)


def pulse(phase: NDArray[np.float64], width: float) -> Sound:
    return (saw(phase) - saw(phase + width)).astype(np.float32)


@dataclass(frozen=True)
class Patch:
    """Settings of a synthesizer. ``kind`` chooses the generator; numbers mean what the generator makes of them."""

    kind: str
    attack: float
    decay: float
    sustain: float
    release: float
    cutoff: float  # octaves above the note
    sweep: float  # octaves that the filter opens at the start
    q: float
    a: float
    b: float
    vibrato: float
    detune: float  # semitones


_SHAPES: dict[str, tuple[float, float, float, float]] = {
    # role: attack, decay, sustain, release (upper ends)
    "pad": (0.5, 1.0, 0.9, 0.5), "pluck": (0.004, 0.5, 0.0, 0.1), "keys": (0.01, 1.5, 0.25, 0.15),
    "lead": (0.03, 0.4, 0.8, 0.08), "bass": (0.008, 0.5, 0.7, 0.05),
}  # fmt: skip
KINDS: tuple[str, ...] = ("saw", "pulse", "supersaw", "fm", "additive", "string", "organ", "square", "triangle")


def random_patch(rng: Generator, role: str) -> Patch:
    """Draw a patch for a ``role``: pad, pluck, keys, lead or bass."""
    attack, decay, sustain, release = _SHAPES[role]
    kinds = [kind for kind in KINDS if role != "bass" or kind not in ("supersaw", "organ", "string")]
    if role == "pluck":
        kinds = ["string", "fm", "saw", "pulse", "additive", "triangle"]
    return Patch(
        kind=str(rng.choice(kinds)),
        attack=attack * float(rng.uniform(0.3, 1.0)),
        decay=decay * float(rng.uniform(0.3, 1.0)),
        sustain=sustain * float(rng.uniform(0.5, 1.0)),
        release=release * float(rng.uniform(0.4, 1.0)),
        cutoff=float(rng.uniform(1.0, 5.0)),
        sweep=float(rng.uniform(0.0, 3.0)),
        q=float(rng.choice([0.7, 0.7, 1.5, 4.0])),
        a=float(rng.random()),
        b=float(rng.random()),
        vibrato=float(rng.uniform(0.1, 0.4)) if role in ("lead", "pad") and rng.random() < 0.5 else 0.0,
        detune=float(rng.uniform(0.03, 0.2)),
    )


def play(patch: Patch, pitch: float, seconds: float, velocity: float, rng: Generator) -> Sound:
    """Samples ``[n]`` of a note held for ``seconds``, RMS near 0.2 at full loudness."""
    n = max(256, int((seconds + patch.release) * SAMPLE_RATE))
    raw = _GENERATORS[patch.kind](patch, pitch, n, velocity, rng)
    if patch.kind in ("saw", "pulse", "supersaw", "square"):
        raw = _opened(patch, raw, pitch, velocity)
    out = raw * envelope(n, patch.attack, patch.decay, patch.sustain, patch.release)
    return out * np.float32(0.28 * velocity / (np.std(raw) + 1e-6))


def _opened(patch: Patch, raw: Sound, pitch: float, velocity: float) -> Sound:
    """The filter's envelope: opens at once, closes with the note's decay."""
    t = clock(len(raw))
    octaves = patch.cutoff + patch.sweep * velocity * np.exp(-t / (patch.decay + 0.05) * 2)
    hz = np.minimum(hertz(pitch) * 2.0**octaves, 20_000)
    out = np.empty_like(raw)
    swept_lowpass(raw, np.tan(np.pi * hz / SAMPLE_RATE).astype(np.float32), 1.0 / patch.q, out)
    return out


def _saw(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    x = saw(glide(pitch, n, patch.vibrato) + rng.random())
    return x + saw(glide(pitch + patch.detune, n, patch.vibrato) + rng.random()) if patch.a > 0.5 else x


def _pulse(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    return pulse(glide(pitch, n, patch.vibrato) + rng.random(), 0.1 + 0.4 * patch.a)


def _square(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    return pulse(glide(pitch, n, patch.vibrato), 0.5)


def _supersaw(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    offsets = np.linspace(-1, 1, 5) * patch.detune
    return np.stack([saw(glide(pitch + o, n) + rng.random()) for o in offsets]).sum(0)


def _fm(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    phase = 2 * np.pi * glide(pitch, n, patch.vibrato)
    ratio = (0.5, 1.0, 1.0, 2.0, 3.0, 3.5, 5.0, 7.0)[int(patch.a * 8)]
    t = np.arange(n) / SAMPLE_RATE
    index = (0.5 + 5 * patch.b * velocity) * (0.2 + 0.8 * np.exp(-t / (patch.decay + 0.05) * 2))
    index *= min(1.0, 900 / hertz(pitch))
    return np.sin(phase + index * np.sin(ratio * phase)).astype(np.float32)


def _additive(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    phase = 2 * np.pi * glide(pitch, n, patch.vibrato)
    t = clock(n)
    stiff = 0.002 * patch.b if patch.a > 0.5 else 0.0
    out = np.zeros(n, np.float32)
    for k in range(1, 13):
        ratio = k * np.sqrt(1 + stiff * k * k)
        if ratio * hertz(pitch) > 18_000:
            break
        gain = k ** -(0.6 + 1.5 * patch.b) * float(rng.uniform(0.5, 1.0))
        out += np.float32(gain) * np.sin(ratio * phase).astype(np.float32) * np.exp(-t * k * np.float32(patch.a))
    return out


def _string(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    period = SAMPLE_RATE / hertz(pitch)
    noise = rng.uniform(-1, 1, int(period) + 2).astype(np.float32)
    out = np.zeros(n, np.float32)
    bright = 0.3 + 0.68 * patch.a * (0.5 + 0.5 * velocity)
    # The damping filter (one pole) delays each turn by about (1 - bright) / bright samples.
    pluck(noise, max(2.0, period - (1 - bright) / bright), 0.985 + 0.0145 * patch.b, bright, out)
    return out


def _organ(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    phase = 2 * np.pi * glide(pitch, n, 0.08 * patch.a, 6.5)
    drawbars = np.random.default_rng(int(patch.b * 1e9)).random(7)
    ratios = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
    parts = [d * np.sin(r * phase) for d, r in zip(drawbars, ratios, strict=True)]
    return np.asarray(np.stack(parts).sum(0), np.float32)


def _triangle(patch: Patch, pitch: float, n: int, velocity: float, rng: Generator) -> Sound:
    x = np.abs((glide(pitch, n, patch.vibrato) % 1.0) * 4 - 2) - 1
    return (np.tanh(x * (1 + 6 * patch.a)) + 0.4 * patch.b * np.sin(2 * np.pi * glide(pitch - 12, n))).astype(
        np.float32
    )


_GENERATORS: dict[str, Callable[[Patch, float, int, float, Generator], Sound]] = {
    "saw": _saw, "pulse": _pulse, "square": _square, "supersaw": _supersaw, "fm": _fm, "additive": _additive,
    "string": _string, "organ": _organ, "triangle": _triangle,
}  # fmt: skip


def riser(rng: Generator, seconds: float) -> Sound:
    """Noise ``[n]`` whose pitch climbs (or, half the time, falls): the sweep before a chorus."""
    n = max(256, int(seconds * SAMPLE_RATE))
    noise = rng.standard_normal(n).astype(np.float32)
    climb = np.linspace(0, 1, n, dtype=np.float32)
    climb = climb if rng.random() < 0.6 else climb[::-1]
    hz = np.minimum(200 * 2 ** (6.3 * climb), 16_000)
    out = np.empty_like(noise)
    swept_lowpass(noise, np.tan(np.pi * hz / SAMPLE_RATE).astype(np.float32), float(rng.uniform(0.3, 1.2)), out)
    out = filtered(out, biquad("high", 150))
    return np.asarray(0.15 * out * (0.1 + 0.9 * climb) / (np.std(out) + 1e-6), np.float32)
