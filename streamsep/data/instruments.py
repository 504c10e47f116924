"""Pitched instruments for bass and accompaniment: notes from a bank, repitched, or from the synthesizers."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data import synth
from streamsep.data.bank import Bank, Clip
from streamsep.data.track import faded, levelled, read_at, repitch

Sound = NDArray[np.float32]

_REACH = 4.0  # semitones a recorded note may be moved before another octave is tried
_BASS_LOW, _BASS_HIGH = 40.0, 50.0  # E2, D3: a bass has a note as low as the first, and plays none above the second


class Instrument(Protocol):
    """Plays notes. ``name`` goes into the song's description."""

    name: str

    def note(self, pitch: float, seconds: float, velocity: float, rng: Generator) -> Sound:
        """Samples ``[n]`` or ``[2, n]`` of a note held for ``seconds``, RMS near 0.2 when loud."""
        ...


class Synthesizer:
    """A patch of the built-in synthesizer."""

    def __init__(self, patch: synth.Patch) -> None:
        self.name = f"synth:{patch.kind}"
        self._patch = patch
        self._kept: dict[tuple[float, float, int], Sound] = {}

    def note(self, pitch: float, seconds: float, velocity: float, rng: Generator) -> Sound:
        key = (pitch, round(seconds, 3), round(velocity * 4))
        if key not in self._kept:
            self._kept[key] = synth.play(self._patch, pitch, seconds, max(0.1, key[2] / 4), rng)
        return self._kept[key]


class Sampler:
    """Recorded notes of one instrument; each is repitched from the nearest recording and kept."""

    def __init__(self, name: str, clips: list[Clip], bank: Bank, release: float, vibrato: float) -> None:
        self.name = name
        self._clips = clips
        self._pitches = np.array([clip.pitch for clip in clips], np.float64)
        self._bank = bank
        self._release = release
        self._vibrato = vibrato
        self._kept: dict[tuple[str, float], Sound] = {}

    def note(self, pitch: float, seconds: float, velocity: float, rng: Generator) -> Sound:
        index, shift = self._nearest(pitch, rng)
        clip = self._clips[index]
        key = (clip.key, round(shift, 1))
        if key not in self._kept:
            self._kept[key] = repitch(self._source(clip), shift)
        sound = self._kept[key][..., : max(480, int((seconds + self._release) * SAMPLE_RATE))]
        if self._vibrato and seconds > 0.4 and sound.ndim == 1:
            sound = self._wavering(sound, rng)
        return faded(sound, 0.002, min(self._release, seconds / 2 + 0.01)) * np.float32(velocity)

    def _source(self, clip: Clip) -> Sound:
        sound = self._bank.load(clip)
        level = np.max(np.abs(sound), axis=0)
        first = int(np.argmax(level > 0.02 * (level.max() + 1e-9)))
        sound = levelled(sound[:, max(0, first - 96) :])
        return sound[0] if sound.shape[0] == 1 else sound

    def _nearest(self, pitch: float, rng: Generator) -> tuple[int, float]:
        """A clip near the pitch, and the semitones from it; in the next octave when none is within reach."""
        best_index, best_shift = 0, 99.0
        for octave in (0, 12, -12, 24, -24, 36, -36):
            gaps = pitch + octave - self._pitches
            near = np.flatnonzero(np.abs(gaps) <= np.min(np.abs(gaps)) + 0.6)
            index = int(near[int(rng.integers(len(near)))])
            if abs(gaps[index]) < abs(best_shift) - 0.01:
                best_index, best_shift = index, float(gaps[index])
            if abs(best_shift) <= _REACH:
                break
        return best_index, best_shift

    def _wavering(self, sound: Sound, rng: Generator) -> Sound:
        t = np.arange(len(sound)) / SAMPLE_RATE
        rate = float(rng.uniform(4.5, 6.5))
        depth = self._vibrato * np.minimum(1, t / 0.4) * 2 ** (1 / 12) / (2 * np.pi * rate) * 0.06 * SAMPLE_RATE
        return read_at(sound, np.arange(len(sound)) + depth * np.sin(2 * np.pi * rate * t))


def random_instrument(rng: Generator, stem: str, role: str, bank: Bank | None, synthetic: float) -> Instrument:
    """An instrument of ``stem`` for a ``role`` (pad, pluck, keys, lead or bass): a synthesizer with the chance
    ``synthetic``, or when there is no bank, else a sampler."""
    groups = instrument_groups(bank, stem) if bank is not None else {}
    if role == "bass":
        groups = _in_bass_register(groups)
    if bank is None or not groups or rng.random() < synthetic:
        return Synthesizer(synth.random_patch(rng, role))
    # The library first, so that an orchestra of many instruments does not drown a single guitar.
    libraries = sorted({name.split(":")[0] for name in groups})
    sizes = np.array([sum(name.split(":")[0] == library for name in groups) for library in libraries])
    library = str(rng.choice(libraries, p=np.sqrt(sizes) / np.sqrt(sizes).sum()))
    name = str(rng.choice(sorted(name for name in groups if name.split(":")[0] == library)))
    release = float(rng.uniform(0.04, 0.3)) * (2.0 if role == "pad" else 1.0)
    vibrato = float(rng.uniform(0.0, 1.0)) if role == "lead" and rng.random() < 0.4 else 0.0
    return Sampler(name, groups[name], bank, release, vibrato)


def _in_bass_register(groups: dict[str, list[Clip]]) -> dict[str, list[Clip]]:
    """The low notes of what has such: a part of a bank may hold a bass's high notes alone, and its line would be played
    octaves above where any bass plays."""
    low = {name: [clip for clip in clips if (clip.pitch or 0.0) <= _BASS_HIGH] for name, clips in groups.items()}
    return {name: clips for name, clips in low.items() if any((clip.pitch or 0.0) <= _BASS_LOW for clip in clips)}


def instrument_groups(bank: Bank, stem: str) -> dict[str, list[Clip]]:
    """Clips with a pitch, by library, instrument and articulation."""
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in bank.of(stem):
        if clip.pitch is not None and clip.articulation != "phrase":
            groups[f"{clip.library}:{clip.instrument}:{clip.articulation}"].append(clip)
    return groups
