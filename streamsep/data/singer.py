"""A singer made of nothing but a source and resonances: vowels, consonants, breath. Needs no recording.

Source and filter after Klatt, Software for a cascade/parallel formant synthesizer, JASA 67(3), 1980, with parallel
formants; the glottal pulse is Rosenberg's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data.dsp import resonators
from streamsep.data.effects import biquad, clock, filtered
from streamsep.data.synth import hertz

Sound = NDArray[np.float32]

_BLOCK = 240  # samples for which the formants stand still
# First five formants (Hz) of sung vowels, a man's.
_VOWELS: dict[str, tuple[int, int, int, int, int]] = {
    "a": (700, 1_150, 2_500, 3_300, 4_300), "e": (420, 1_850, 2_500, 3_350, 4_300),
    "i": (290, 2_150, 2_850, 3_400, 4_400), "o": (430, 820, 2_450, 3_250, 4_200),
    "u": (320, 720, 2_350, 3_200, 4_200), "ae": (640, 1_650, 2_450, 3_350, 4_300),
    "er": (480, 1_250, 1_700, 3_100, 4_200), "uh": (560, 1_200, 2_450, 3_300, 4_300),
}  # fmt: skip
# Consonants: band (Hz) and length (s) of their noise.
_CONSONANTS: dict[str, tuple[float, float, float]] = {
    "s": (5_000, 11_000, 0.11), "sh": (2_200, 7_000, 0.12), "f": (1_200, 9_000, 0.08), "t": (3_000, 9_000, 0.03),
    "k": (1_300, 4_500, 0.04), "p": (400, 3_000, 0.025), "ch": (2_300, 8_000, 0.07), "h": (600, 4_000, 0.08),
}  # fmt: skip
_BANDWIDTHS = (70.0, 95.0, 130.0, 220.0, 300.0)
_GAINS_DB = (0.0, -6.0, -12.0, -15.0, -22.0)


@dataclass(frozen=True)
class Voice:
    """``size`` scales the formants (1 a man, 1.17 a woman, 1.3 a child); the rest is taste, 0 to 1."""

    size: float
    breath: float
    bright: float
    vibrato: float  # semitones
    vibrato_rate: float
    jitter: float
    scoop: float  # semitones
    low: int  # MIDI range
    high: int


def random_voice(rng: Generator) -> Voice:
    man = rng.random() < 0.5
    low = int(rng.integers(40, 50)) if man else int(rng.integers(53, 62))
    return Voice(
        size=float(rng.uniform(0.92, 1.06) if man else rng.uniform(1.1, 1.28)),
        breath=float(rng.beta(1.2, 4)),
        bright=float(rng.random()),
        vibrato=float(rng.choice([0.0, 0.15, 0.35, 0.6])),
        vibrato_rate=float(rng.uniform(4.8, 6.6)),
        jitter=float(rng.uniform(0.02, 0.12)),
        scoop=float(rng.uniform(0.0, 2.5)),
        low=low,
        high=low + int(rng.integers(9, 17)),
    )


def sing(voice: Voice, pitch: float, seconds: float, velocity: float, rng: Generator, before: float | None) -> Sound:
    """A syllable ``[n]``: a consonant two times in three, then a vowel that may turn into another.

    ``before`` is the pitch that the note slides from (legato), None for a fresh start.
    """
    n = max(2 * _BLOCK, int((seconds + 0.06) * SAMPLE_RATE))
    phase = np.cumsum(_pitch_curve(voice, pitch, n, rng, before)) / SAMPLE_RATE
    source = _glottis(phase, voice.bright * (0.5 + 0.5 * velocity))
    breath = rng.standard_normal(n).astype(np.float32)
    swell = (0.35 + 0.65 * np.maximum(0, np.sin(2 * np.pi * phase))).astype(np.float32)
    source = (1 - 0.8 * voice.breath) * source + (0.03 + 0.5 * voice.breath) * breath * swell
    vowels = [str(vowel) for vowel in rng.choice(list(_VOWELS), size=2)]
    if rng.random() < 0.6:
        vowels[1] = vowels[0]
    body = _shaped(voice, source.astype(np.float32), vowels, rng)
    t = clock(n)
    attack = 0.02 if before is not None else float(rng.uniform(0.02, 0.07))
    shape = np.minimum(1, t / attack) * np.minimum(1, (t[-1] - t) / 0.06) * (0.85 + 0.15 * np.sin(np.pi * t / t[-1]))
    body *= shape * np.float32(0.2 * velocity / (np.std(body) + 1e-6))
    return _with_consonant(body, velocity, rng) if rng.random() < 0.67 else body


def _pitch_curve(voice: Voice, pitch: float, n: int, rng: Generator, before: float | None) -> NDArray[np.float64]:
    t = np.arange(n) / SAMPLE_RATE
    start = (before - pitch) if before is not None and abs(before - pitch) < 13 else -voice.scoop * rng.random()
    bend = start * np.exp(-t / float(rng.uniform(0.02, 0.06)))
    bend += voice.vibrato * np.clip((t - 0.18) / 0.3, 0, 1) * np.sin(2 * np.pi * voice.vibrato_rate * t)
    knots = rng.normal(0, voice.jitter, max(2, n // 2_400 + 2))
    bend += np.interp(t, np.linspace(0, t[-1], len(knots)), knots)
    return hertz(pitch) * 2 ** (bend / 12)


def _glottis(phase: NDArray[np.float64], bright: float) -> Sound:
    """The flow's derivative: a smooth opening and a steep closing once a turn."""
    x = phase % 1.0
    opening, closing = 0.42, 0.08 + 0.14 * (1 - bright)
    flow = np.where(x < opening, 0.5 * (1 - np.cos(np.pi * x / opening)), 0.0)
    falling = (x >= opening) & (x < opening + closing)
    flow = np.where(falling, np.cos(np.pi / 2 * (x - opening) / closing), flow)
    return np.diff(flow, prepend=flow[0]).astype(np.float32) * 20


def _shaped(voice: Voice, source: Sound, vowels: list[str], rng: Generator) -> Sound:
    blocks = len(source) // _BLOCK + 1
    mix = np.clip(np.linspace(-0.8, 1.8, blocks), 0, 1)[:, None]
    first, last = (np.array(_VOWELS[vowel], np.float64) for vowel in vowels)
    hz = ((1 - mix) * first + mix * last).T * voice.size
    hz *= 1 + 0.02 * rng.standard_normal((5, 1))
    radius = np.exp(-np.pi * np.array(_BANDWIDTHS)[:, None] * voice.size / SAMPLE_RATE) * np.ones_like(hz)
    angle = 2 * np.pi * hz / SAMPLE_RATE
    tilt = np.array(_GAINS_DB)[:, None] * (1.3 - 0.7 * voice.bright)
    sign = np.array([1, -1, 1, -1, 1])[:, None]
    gain = sign * 10 ** (tilt / 20) * (1 - radius) * np.sqrt(1 - 2 * radius * np.cos(2 * angle) + radius**2)
    out = np.zeros_like(source)
    a1 = (-2 * radius * np.cos(angle)).astype(np.float32)
    resonators(source, a1, (radius**2).astype(np.float32), gain.astype(np.float32), _BLOCK, out)
    return out


def _with_consonant(body: Sound, velocity: float, rng: Generator) -> Sound:
    low, high, seconds = _CONSONANTS[str(rng.choice(list(_CONSONANTS)))]
    n = int(seconds * float(rng.uniform(0.7, 1.4)) * SAMPLE_RATE)
    noise = rng.standard_normal(n).astype(np.float32) * np.hanning(n).astype(np.float32)
    noise = filtered(noise, biquad("high", low), biquad("low", high))
    overlap = min(n // 2, len(body))
    out = np.zeros(n - overlap + len(body), np.float32)
    out[n - overlap :] = body
    out[:n] += noise * np.float32(velocity * float(rng.uniform(0.03, 0.14)) / (np.std(noise) + 1e-6))
    return out
