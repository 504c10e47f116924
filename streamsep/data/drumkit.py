"""Drum kits: a sound for each role, from a bank's hits or synthesized. Knows strokes; knows nothing of patterns."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data.bank import Bank, Clip
from streamsep.data.effects import biquad, clock, filtered

Sound = NDArray[np.float32]

ROLES: tuple[str, ...] = (
    "kick",
    "snare",
    "hat",
    "open",
    "ride",
    "crash",
    "tom1",
    "tom2",
    "tom3",
    "clap",
    "rim",
    "perc",
)
# The first expression that fits the instrument or the file's name decides.
_NAMES: tuple[tuple[str, str], ...] = (
    ("kick", r"^(bd|kick|kdrum|dt_kick|lm.*kick)|kick|_bass_(hard|soft)|^bass ?drum"),
    ("clap", r"clap|^cp\b|^cp_"),
    ("rim", r"rim|stick|clave|^rs\b|^cl\b|sidestick"),
    ("snare", r"snare|^sd|^sn|shortsn|-sd"),
    ("open", r"open|^oh|ohihat|-oh|pedal|half|loose"),
    ("hat", r"hat|^hh|^ch\b|closed|hithat|chihat|shorthi|-ch"),
    ("ride", r"ride|^rd"),
    ("crash", r"crash|china|splash|cymba|^cr\b|^cr_|^cy\d"),
    ("tom1", r"tom1|tom-?h|hitom|high.*tom|tom_hi|^ht|tom01"),
    ("tom3", r"tom[34]|tom-?l|lowtom|tom_lo|^lt"),
    ("tom2", r"tom|^mt"),
    ("perc", r"."),
)
_LEVELS = {
    "kick": 1.0, "snare": 0.8, "hat": 0.33, "open": 0.33, "ride": 0.33, "crash": 0.5, "tom1": 0.7, "tom2": 0.7,
    "tom3": 0.75, "clap": 0.6, "rim": 0.45, "perc": 0.45,
}  # fmt: skip


def role_of(clip: Clip) -> str:
    """Which part of a kit a clip is, judged by the names it has."""
    names = (clip.instrument.lower(), clip.path.stem.lower())
    for role, pattern in _NAMES[:-1]:
        if any(re.search(pattern, name) for name in names):
            return role
    return "perc"


class Drum:
    """One drum or cymbal: takes of growing loudness."""

    def __init__(self, takes: list[Sound], level: float) -> None:
        self._takes = sorted(takes, key=lambda take: float(np.max(np.abs(take))))
        peak = float(np.max(np.abs(self._takes[-1])))
        self._gain = level / (peak + 1e-6)
        self._natural = len(self._takes) > 2

    def hit(self, velocity: float, rng: Generator) -> Sound:
        """Samples ``[2, n]`` of a stroke."""
        count = len(self._takes)
        index = min(count - 1, max(0, round(velocity * (count - 1) + float(rng.normal(0, 0.4)))))
        take = self._takes[index]
        gain = self._gain * velocity**1.3
        if self._natural:  # the takes bring their own dynamics, part of which a compressor would have levelled
            peak = float(np.max(np.abs(take))) * self._gain
            gain = self._gain * (velocity / max(peak, 0.05)) ** 0.5 * float(rng.uniform(0.9, 1.1))
        return take * np.float32(gain)


class Kit:
    """A drum per role."""

    def __init__(self, drums: dict[str, Drum]) -> None:
        self.drums = drums

    def hit(self, role: str, velocity: float, rng: Generator) -> Sound:
        return self.drums[role].hit(velocity, rng)


def random_kit(rng: Generator, bank: Bank | None, synthetic: float = 0.15) -> Kit:
    """A kit that leans on one library and mixes in others; a role is synthesized with the chance ``synthetic``,
    or when the bank has nothing for it."""
    pieces = _pieces(bank) if bank is not None else {}
    libraries = sorted({library for role in ("kick", "snare") for library, _ in pieces.get(role, [])})
    home = str(rng.choice(libraries)) if libraries else ""
    loyal = float(rng.uniform(0.3, 1.0))
    drums: dict[str, Drum] = {}
    tune = float(2 ** (rng.normal(0, 1.5) / 12))
    for role in ROLES:
        options = pieces.get(role, [])
        at_home = [piece for piece in options if piece[0] == home]
        if at_home and rng.random() < loyal:
            options = at_home
        level = _LEVELS[role] * float(10 ** (rng.normal(0, 2.0) / 20))
        if bank is None or not options or rng.random() < synthetic:
            drums[role] = Drum([synthesize(role, rng)], level)
        else:
            clips = options[int(rng.integers(len(options)))][1]
            takes = [_tuned(_stereo(bank.load(clip)), tune) for clip in clips[:8]]
            drums[role] = Drum([_trimmed(take) for take in takes], level)
    return Kit(drums)


def _pieces(bank: Bank) -> dict[str, list[tuple[str, list[Clip]]]]:
    """Role → (library, takes of one drum). Clips that differ by velocity alone are takes of the same drum."""
    takes: dict[tuple[str, str, str, str, str], list[Clip]] = defaultdict(list)
    for clip in bank.of("drums"):
        if clip.articulation in ("loop", "phrase") or "loop" in clip.instrument or clip.seconds > 4.5:
            continue
        single = "" if clip.velocity is not None else clip.key
        takes[(role_of(clip), clip.library, clip.instrument, clip.articulation, single)].append(clip)
    pieces: dict[str, list[tuple[str, list[Clip]]]] = defaultdict(list)
    for (role, library, *_), clips in takes.items():
        pieces[role].append((library, clips))
    return pieces


def _stereo(x: Sound) -> Sound:
    return x if x.shape[0] == 2 else np.repeat(x, 2, axis=0)


def _trimmed(x: Sound) -> Sound:
    """Without the silence before the stroke, faded at the end."""
    level = np.max(np.abs(x), axis=0)
    first = int(np.argmax(level > 0.02 * (level.max() + 1e-9)))
    x = x[:, max(0, first - 24) :].copy()
    tail = min(960, x.shape[1])
    x[:, x.shape[1] - tail :] *= np.linspace(1, 0, tail, dtype=np.float32)
    return x


def _tuned(x: Sound, ratio: float) -> Sound:
    n = int(x.shape[1] / ratio)
    at = np.arange(n) * ratio
    return np.stack([np.interp(at, np.arange(x.shape[1]), channel) for channel in x]).astype(np.float32)


def synthesize(role: str, rng: Generator) -> Sound:
    """A drum from sines and noise, in the manner of analogue drum machines: ``[2, n]``."""
    seconds = {"kick": 0.5, "snare": 0.35, "hat": 0.12, "open": 0.5, "ride": 1.0, "crash": 1.8}.get(role, 0.35)
    n = int(seconds * float(rng.uniform(0.7, 1.3)) * SAMPLE_RATE)
    noise = rng.standard_normal((2, n), np.float32)
    if rng.random() < 0.5:
        noise[1] = noise[0]
    return np.asarray(_MAKERS.get(role, _metal)(role, clock(n), noise, rng), np.float32)


def _kick(role: str, t: Sound, noise: Sound, rng: Generator) -> NDArray[Any]:
    low, top = float(rng.uniform(42, 65)), float(rng.uniform(80, 320))
    body = _sweep(t, low, top, float(rng.uniform(0.015, 0.06))) * np.exp(-t / rng.uniform(0.06, 0.22))
    click = noise * np.exp(-t / 0.004) * rng.uniform(0.05, 0.4)
    return np.tanh(body * rng.uniform(1, 3)) + filtered(click, biquad("high", 900))


def _tom(role: str, t: Sound, noise: Sound, rng: Generator) -> NDArray[Any]:
    low = {"tom1": 170.0, "tom2": 120.0, "tom3": 85.0, "perc": 320.0}[role] * float(rng.uniform(0.85, 1.2))
    return _sweep(t, low, low * 1.6, 0.04) * np.exp(-t / rng.uniform(0.08, 0.2)) + 0.1 * noise * np.exp(-t / 0.02)


def _snare(role: str, t: Sound, noise: Sound, rng: Generator) -> NDArray[Any]:
    body = _sweep(t, float(rng.uniform(150, 230)), 330, 0.02) * np.exp(-t / 0.07) * rng.uniform(0.3, 0.9)
    rattle = filtered(noise, biquad("high", float(rng.uniform(800, 2_500))))
    return body + 0.7 * rattle * np.exp(-t / rng.uniform(0.04, 0.13))


def _clap(role: str, t: Sound, noise: Sound, rng: Generator) -> NDArray[Any]:
    """Three short bursts, as of several hands, and a tail."""
    bursts = sum(np.exp(-np.maximum(t - late, 0) / 0.006) * (t >= late) for late in (0.0, 0.011, 0.022))
    tail = 0.6 * np.exp(-np.maximum(t - 0.025, 0) / 0.08) * (t >= 0.025)
    return filtered(noise * (bursts + tail), biquad("peak", 1_300, 12, 1.2), biquad("high", 600))


def _rim(role: str, t: Sound, noise: Sound, rng: Generator) -> NDArray[Any]:
    body = np.sin(2 * np.pi * rng.uniform(420, 1_800) * t) * np.exp(-t / 0.018)
    return body + 0.3 * noise * np.exp(-t / 0.006)


def _metal(role: str, t: Sound, noise: Sound, rng: Generator) -> NDArray[Any]:
    """Hats and cymbals: six square waves out of tune, and noise, both high-passed."""
    base = float(rng.uniform(250, 420))
    ratios = np.array([1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523])[:, None]
    squares = np.sign(np.sin(2 * np.pi * base * ratios * t)).mean(0)
    mix = float(rng.uniform(0.1, 0.7))
    decay = {"hat": 0.03, "open": 0.2, "ride": 0.4}.get(role, 0.6) * float(rng.uniform(0.6, 1.4))
    return filtered(mix * squares + (1 - mix) * noise, biquad("high", float(rng.uniform(5_000, 8_500)))) * np.exp(
        -t / decay
    )


def _sweep(t: Sound, low: float, top: float, seconds: float) -> NDArray[Any]:
    """A sine that falls from ``top`` to ``low`` Hz."""
    hz = low + (top - low) * np.exp(-t / seconds)
    return np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)


_MAKERS: dict[str, Callable[[str, Sound, Sound, Generator], NDArray[Any]]] = {
    "kick": _kick, "tom1": _tom, "tom2": _tom, "tom3": _tom, "perc": _tom, "snare": _snare, "clap": _clap, "rim": _rim,
}  # fmt: skip
