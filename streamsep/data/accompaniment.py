"""The stem `other`: one to four layers of pads, comping, arpeggios, riffs, leads and effects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data.arrange import Plan, Section
from streamsep.data.bank import Bank
from streamsep.data.effects import chorus, echo, place, random_eq
from streamsep.data.instruments import Instrument, random_instrument
from streamsep.data.synth import riser
from streamsep.data.theory import Chord, Note, melody
from streamsep.data.track import Track, faded, levelled, repitch

Sound = NDArray[np.float32]

_LAYERS: dict[str, str] = {  # layer → role of its instrument
    "pad": "pad", "comp": "keys", "strum": "pluck", "arp": "pluck", "lead": "lead", "riff": "lead", "broken": "keys",
}  # fmt: skip


def other_part(rng: Generator, plan: Plan, bank: Bank | None, samples: int) -> tuple[Sound, list[str]]:
    """The dry `other` stem ``[2, samples]`` and the names of its layers. Each layer has its own place and colour."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.2, 0.37, 0.3, 0.13]))
    total = np.zeros((2, samples), np.float32)
    names: list[str] = []
    for index in range(count):
        layer = str(rng.choice(list(_LAYERS), p=[0.2, 0.2, 0.12, 0.14, 0.14, 0.1, 0.1]))
        instrument = random_instrument(rng, "other", _LAYERS[layer], bank, 0.3)
        track = Track(samples)
        _PLAYERS[layer](rng, plan, instrument, track, index == 0)
        total += _coloured(track.sound, rng, plan, layer)
        names.append(f"{instrument.name}/{layer}")
    if rng.random() < 0.3:
        names.append("effects")
        total += _effects(rng, plan, bank, samples)
    return total, names


def _coloured(x: Sound, rng: Generator, plan: Plan, layer: str) -> Sound:
    x = random_eq(x, rng, 0.8)
    if rng.random() < (0.5 if layer == "pad" else 0.2):
        x = chorus(x, rng, float(rng.uniform(0.3, 0.8)))
    if layer in ("arp", "lead", "riff") and rng.random() < 0.4:
        beats = float(rng.choice([0.5, 0.75, 1.0]))
        x = echo(x, beats * 60 / plan.bpm, float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.15, 0.5)), True)
    x = place(x, float(np.clip(rng.normal(0, 0.35), -0.9, 0.9)), float(rng.uniform(0.6, 1.6)))
    gain = float(10 ** (rng.normal(0, 3) / 20)) * (0.7 if layer == "pad" else 1.0)
    return levelled(x, 0.2 * gain)


def _chords_in(plan: Plan, section: Section) -> list[tuple[Chord, float, float]]:
    spans = [
        (chord, max(chord.start, section.start), min(chord.start + chord.beats, section.end)) for chord in plan.chords
    ]
    return [(chord, start, end) for chord, start, end in spans if end - start > 0.2]


def _active(rng: Generator, plan: Plan, always: bool) -> list[Section]:
    return [section for section in plan.playing("other") if always or rng.random() < 0.4 + 0.5 * section.energy]


def _pad(rng: Generator, plan: Plan, instrument: Instrument, track: Track, always: bool) -> None:
    low = int(rng.integers(33, 45) if rng.random() < 0.2 else rng.integers(45, 62))
    count = int(rng.integers(2, 5))
    for section in _active(rng, plan, always):
        for chord, start, end in _chords_in(plan, section):
            for pitch in chord.notes(low, count):
                _play(rng, plan, instrument, track, Note(start, end - start, pitch, 0.7), 1.0, 0.02)


def _comp(rng: Generator, plan: Plan, instrument: Instrument, track: Track, always: bool) -> None:
    low = int(rng.integers(36, 48) if rng.random() < 0.2 else rng.integers(48, 64))
    count = int(rng.integers(2, 5))
    steps = [step / 4 for step in range(16) if rng.random() < (0.35 if step % 4 else 0.5)] or [0.0]
    length = float(rng.choice([0.2, 0.45, 0.9, 2.0]))
    for section in _active(rng, plan, always):
        for chord, start, end in _chords_in(plan, section):
            for step in steps:
                if start + step >= end - 0.05:
                    break
                velocity = float(rng.uniform(0.6, 1.0))
                for pitch in chord.notes(low, count):
                    note = Note(start + step, min(length, end - start - step), pitch, velocity)
                    _play(rng, plan, instrument, track, note, 1.0, 0.008)


def _strum(rng: Generator, plan: Plan, instrument: Instrument, track: Track, always: bool) -> None:
    low = int(rng.integers(40, 52))
    pattern = [(step / 2, float(rng.uniform(0.5, 1.0))) for step in range(8) if step == 0 or rng.random() < 0.6]
    roll = float(rng.uniform(0.006, 0.025))
    for section in _active(rng, plan, always):
        for chord, start, end in _chords_in(plan, section):
            for step, velocity in pattern:
                if start + step >= end - 0.05:
                    break
                pitches = chord.notes(low, int(rng.integers(3, 6)))
                pitches = pitches if round(step * 2) % 2 == 0 else pitches[::-1][:3]
                for index, pitch in enumerate(pitches):
                    note = Note(start + step, min(1.0, end - start - step), pitch, velocity)
                    _play(rng, plan, instrument, track, note, 1.0, 0.002, index * roll)


def _arp(rng: Generator, plan: Plan, instrument: Instrument, track: Track, always: bool) -> None:
    low, count = int(rng.integers(52, 70)), int(rng.integers(3, 7))
    step = float(rng.choice([0.25, 0.25, 0.5, 1 / 3]))
    order = [int(i) for i in rng.permutation(count)] if rng.random() < 0.5 else list(range(count))
    length = float(rng.uniform(0.6, 1.6)) * step
    for section in _active(rng, plan, always):
        for chord, start, end in _chords_in(plan, section):
            pitches = chord.notes(low, count)
            for index, beat in enumerate(np.arange(start, end - 0.05, step)):
                note = Note(float(beat), length, pitches[order[index % count]], float(rng.uniform(0.6, 1.0)))
                _play(rng, plan, instrument, track, note, 1.0, 0.004)


def _broken(rng: Generator, plan: Plan, instrument: Instrument, track: Track, always: bool) -> None:
    """A hand that breaks chords, another that holds the root."""
    low = int(rng.integers(48, 60))
    for section in _active(rng, plan, always):
        for chord, start, end in _chords_in(plan, section):
            _play(rng, plan, instrument, track, Note(start, end - start, chord.root_above(low - 14), 0.8), 1.0, 0.01)
            pitches = chord.notes(low, 4)
            for beat in np.arange(start, end - 0.05, 0.5):
                pitch = pitches[int(rng.integers(len(pitches)))]
                _play(
                    rng, plan, instrument, track, Note(float(beat), 0.9, pitch, float(rng.uniform(0.5, 0.9))), 1.0, 0.01
                )


def _lead(rng: Generator, plan: Plan, instrument: Instrument, track: Track, always: bool) -> None:
    low = int(rng.integers(55, 72))
    busy = float(rng.uniform(0.2, 0.9))
    for section in _active(rng, plan, always):
        for note in melody(rng, plan.key, list(plan.chords), section.start, section.beats, low, low + 16, busy):
            _play(rng, plan, instrument, track, note, 1.2, 0.006)


def _riff(rng: Generator, plan: Plan, instrument: Instrument, track: Track, always: bool) -> None:
    """Two bars that come again and again."""
    low = int(rng.integers(45, 66))
    line = melody(rng, plan.key, list(plan.chords), 0.0, 2.0 * plan.meter, low, low + 12, float(rng.uniform(0.4, 0.95)))
    for section in _active(rng, plan, always):
        at = section.start
        while at < section.end:
            for note in line:
                if at + note.start < section.end:
                    moved = Note(at + note.start, note.beats, note.pitch, note.velocity)
                    _play(rng, plan, instrument, track, moved, 1.2, 0.004)
            at += 2.0 * plan.meter


def _play(
    rng: Generator,
    plan: Plan,
    instrument: Instrument,
    track: Track,
    note: Note,
    gain: float,
    loose: float,
    late: float = 0.0,
) -> None:
    seconds = plan.time(note.start + note.beats) - plan.time(note.start)
    at = plan.time(note.start) + late + abs(float(rng.normal(0, loose)))
    track.add(instrument.note(note.pitch, max(0.05, seconds), note.velocity, rng), at, gain * 0.6)


_PLAYERS: dict[str, Callable[[Generator, Plan, Instrument, Track, bool], None]] = {
    "pad": _pad, "comp": _comp, "strum": _strum, "arp": _arp, "lead": _lead, "riff": _riff, "broken": _broken,
}  # fmt: skip


def _effects(rng: Generator, plan: Plan, bank: Bank | None, samples: int) -> Sound:
    """Risers into sections, and recorded phrases and noises of the bank here and there."""
    track = Track(samples)
    clips = [clip for clip in bank.of("other") if clip.pitch is None or clip.articulation == "phrase"] if bank else []
    for section in plan.playing("other"):
        if rng.random() < 0.5:
            seconds = float(rng.uniform(1, 4)) * 60 / plan.bpm * 2
            track.add(riser(rng, seconds), plan.time(section.start) - seconds, 0.5)
        if bank is not None and clips and rng.random() < 0.5:
            clip = clips[int(rng.integers(len(clips)))]
            sound = faded(levelled(repitch(bank.load(clip), float(rng.uniform(-5, 5)))), 0.01, 0.1)
            at = plan.time(section.start + float(rng.integers(0, max(1, int(section.beats)))))
            track.add(sound[:, : 8 * SAMPLE_RATE], at, float(rng.uniform(0.3, 0.9)), float(rng.uniform(-0.7, 0.7)))
    return track.sound
