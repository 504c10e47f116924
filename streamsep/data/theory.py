"""Keys, chords and melodies as MIDI numbers and beats. Knows nothing of sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
_MODE_ODDS = (0.36, 0.36, 0.12, 0.1, 0.06)
# Scale degrees, counted from 0, of chord sequences that popular music lives on.
_PROGRESSIONS: tuple[tuple[int, ...], ...] = (
    (0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 3, 4, 3), (0, 6, 5, 6), (0, 5, 2, 6), (0, 3, 0, 4), (1, 4, 0, 0),
    (0, 0, 3, 3), (0, 2, 3, 4), (3, 4, 0, 5), (0, 6, 3, 0), (0, 0, 0, 0), (5, 4, 3, 4), (0, 4, 1, 3), (0, 3, 6, 2),
)  # fmt: skip


@dataclass(frozen=True)
class Key:
    """``tonic`` is a pitch class; ``steps`` are the seven semitone offsets of the mode."""

    tonic: int
    mode: str
    steps: tuple[int, ...]

    def degree(self, index: int) -> int:
        """Semitones above the tonic of C's octave 0 for any scale index, octaves included."""
        octave, step = divmod(index, 7)
        return self.tonic + 12 * octave + self.steps[step]

    def snap(self, pitch: float) -> int:
        """The scale's nearest MIDI note."""
        base = round(pitch)
        options = [base + d for d in (0, -1, 1, -2, 2) if (base + d - self.tonic) % 12 in self.steps]
        return options[0]


@dataclass(frozen=True)
class Chord:
    """From ``start`` (beats) for ``beats``; ``root`` is a pitch class, ``tones`` are semitones above it."""

    start: float
    beats: float
    root: int
    tones: tuple[int, ...]

    def notes(self, low: int, count: int = 4) -> list[int]:
        """``count`` chord notes, lowest first, from the MIDI note ``low`` on."""
        classes = {(self.root + tone) % 12 for tone in self.tones}
        notes = [note for note in range(low, low + 12 * count) if note % 12 in classes]
        return notes[:count]

    def root_above(self, low: int) -> int:
        """The root's first MIDI note at or above ``low``."""
        return low + (self.root - low) % 12


@dataclass(frozen=True)
class Note:
    """A note of a line: start and length in beats, MIDI pitch, loudness 0 to 1."""

    start: float
    beats: float
    pitch: int
    velocity: float


def random_key(rng: Generator) -> Key:
    mode = str(rng.choice(list(MODES), p=_MODE_ODDS))
    return Key(int(rng.integers(12)), mode, MODES[mode])


def random_chords(rng: Generator, key: Key, beats: float, meter: int) -> list[Chord]:
    """A sequence that repeats, with small changes, for ``beats``."""
    degrees = list(_PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))])
    if rng.random() < 0.3:
        degrees += list(_PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))])
    lengths = [float(meter)] * len(degrees)
    if rng.random() < 0.25:
        lengths = [meter * 2.0] * len(degrees)
    elif rng.random() < 0.25 and meter % 2 == 0:
        lengths = [meter / 2.0] * len(degrees)
    extension = rng.random()
    chords: list[Chord] = []
    at, index = 0.0, 0
    while at < beats:
        degree = degrees[index % len(degrees)]
        if rng.random() < 0.06:
            degree = int(rng.integers(6))
        count = 4 if rng.random() < extension * 0.7 else 3
        root = key.degree(degree)
        tones = tuple((key.degree(degree + 2 * k) - root) for k in range(count))
        if count == 3 and rng.random() < 0.06:
            tones = (0, 5 if rng.random() < 0.5 else 2, 7)
        length = lengths[index % len(lengths)]
        chords.append(Chord(at, length, root % 12, tones))
        at += length
        index += 1
    return chords


def chord_at(chords: list[Chord], beat: float) -> Chord:
    for chord in chords:
        if beat < chord.start + chord.beats:
            return chord
    return chords[-1]


def melody(
    rng: Generator, key: Key, chords: list[Chord], start: float, beats: float, low: int, high: int, busy: float
) -> list[Note]:
    """A line of phrases and rests between MIDI notes ``low`` and ``high``; ``busy`` (0 to 1) sets how many notes.

    Steps mostly by scale tones, sometimes leaps to a chord tone; long notes lean on chord tones. A motif's rhythm
    comes back, as it does in songs.
    """
    motif = _rhythm(rng, busy)
    notes: list[Note] = []
    pitch = float(rng.integers(low, high + 1))
    at = start + float(rng.choice([0.0, 0.0, 0.5, 1.0]))
    end = start + beats
    while at < end - 0.25:
        if rng.random() < 0.3:
            motif = _rhythm(rng, busy)
        for length, sounding in motif:
            if at >= end - 0.1:
                break
            if sounding:
                pitch = _next_pitch(rng, key, chord_at(chords, at), pitch, low, high, length)
                held = min(length * float(rng.uniform(0.75, 1.0)), end - at)
                notes.append(Note(at, held, round(pitch), float(rng.uniform(0.6, 1.0))))
            at += length
        at += float(rng.choice([0.0, 0.5, 1.0, 2.0, 4.0], p=[0.2, 0.2, 0.28, 0.22, 0.1]))
    return notes


def _rhythm(rng: Generator, busy: float) -> list[tuple[float, bool]]:
    lengths = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
    odds = np.exp(-np.abs(np.log2(lengths) - (1.0 - 2.4 * busy)) * 1.3)
    count = int(rng.integers(3, 9))
    drawn = rng.choice(lengths, size=count, p=odds / odds.sum())
    return [(float(length), bool(rng.random() > 0.1)) for length in drawn]


def _next_pitch(rng: Generator, key: Key, chord: Chord, pitch: float, low: int, high: int, beats: float) -> float:
    step = float(
        rng.choice([-4, -3, -2, -1, 0, 1, 2, 3, 4, 7], p=[0.05, 0.08, 0.17, 0.17, 0.12, 0.14, 0.13, 0.07, 0.05, 0.02])
    )
    wanted = pitch + step + 0.08 * ((low + high) / 2 - pitch)
    if beats >= 1.0 or rng.random() < 0.3:
        near = chord.notes(round(wanted) - 6, 6)
        wanted = min(near, key=lambda note: abs(note - wanted)) if near else wanted
    wanted = key.snap(wanted)
    while wanted > high:
        wanted -= 12
    while wanted < low:
        wanted += 12
    return wanted
