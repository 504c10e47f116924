"""Drums and bass: patterns and chords of a plan made into sound."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data.arrange import Plan, Section
from streamsep.data.bank import Bank
from streamsep.data.drumkit import random_kit
from streamsep.data.instruments import random_instrument
from streamsep.data.rhythm import Stroke, drum_strokes
from streamsep.data.theory import Chord, Note
from streamsep.data.track import Track, levelled, repitch

Sound = NDArray[np.float32]

_PANS = {"hat": 0.25, "open": 0.25, "ride": -0.35, "crash": 0.4, "tom1": -0.3, "tom2": 0.05, "tom3": 0.35, "perc": -0.4}


def drum_part(rng: Generator, plan: Plan, bank: Bank | None, samples: int) -> tuple[Sound, list[Stroke]]:
    """The dry drum stem ``[2, samples]`` and its strokes. Hats choke each other; a loop sometimes runs beneath."""
    kit = random_kit(rng, bank, float(rng.choice([0.05, 0.15, 0.6])))
    strokes = drum_strokes(rng, plan)
    track = Track(samples)
    mirror, spread = float(rng.choice([-1, 1])), float(rng.uniform(0, 1))
    for index, stroke in enumerate(strokes):
        sound = kit.hit(stroke.role, stroke.velocity, rng)
        if stroke.role == "open":
            sound = _choked(sound, stroke, strokes[index + 1 : index + 12])
        track.add(sound, stroke.seconds, 1.0, mirror * spread * _PANS.get(stroke.role, 0.0))
    if bank is not None and rng.random() < 0.18:
        _loop(rng, plan, bank, track, float(rng.uniform(0.3, 1.2)))
    return track.sound, strokes


def _choked(sound: Sound, stroke: Stroke, later: list[Stroke]) -> Sound:
    for other in later:
        if other.role in ("hat", "open"):
            n = max(480, int((other.seconds - stroke.seconds) * SAMPLE_RATE))
            if n + 480 < sound.shape[1]:
                sound = sound[:, : n + 480].copy()
                sound[:, n:] *= np.linspace(1, 0, 480, dtype=np.float32)
            break
    return sound


def _loop(rng: Generator, plan: Plan, bank: Bank, track: Track, gain: float) -> None:
    """A recorded loop, its speed changed so that it lasts whole bars."""
    loops = [clip for clip in bank.of("drums") if clip.articulation in ("loop", "phrase") and clip.seconds > 0.8]
    if not loops:
        return
    sound = levelled(bank.load(loops[int(rng.integers(len(loops)))]), 0.15)
    seconds = sound.shape[1] / SAMPLE_RATE
    bar = plan.meter * 60.0 / plan.bpm
    bars = min((0.5, 1.0, 2.0, 4.0), key=lambda count: abs(np.log(count * bar / seconds)))
    sound = repitch(sound, -12 * float(np.log2(bars * bar / seconds)))
    for section in plan.playing("drums"):
        if rng.random() < 0.7:
            beat = section.start
            while beat < section.end:
                room = int((section.end - beat) * 60 / plan.bpm * SAMPLE_RATE)
                track.add(sound[:, :room], beat * 60 / plan.bpm, gain)
                beat += bars * plan.meter


def bass_part(rng: Generator, plan: Plan, bank: Bank | None, samples: int, kicks: list[float]) -> tuple[Sound, str]:
    """The dry bass stem ``[2, samples]`` and the instrument's name. ``kicks`` are seconds at which the kick falls."""
    synthetic = 0.5 if plan.genre in ("house", "techno", "trap", "dnb", "ambient") else 0.22
    instrument = random_instrument(rng, "bass", "bass", bank, synthetic)
    low = int(rng.integers(26, 34))
    style = str(rng.choice(_STYLES.get(plan.genre, ("eighths", "kick", "held", "groove"))))
    legato = float(rng.uniform(0.55, 1.0))
    track = Track(samples)
    for section in plan.playing("bass"):
        now = style if rng.random() < 0.75 else str(rng.choice(["held", "eighths", "groove", "walking", "octaves"]))
        for note in _bass_line(rng, plan, section, now, low, kicks):
            seconds = (plan.time(note.start + note.beats) - plan.time(note.start)) * legato
            late = float(rng.normal(0, 0.004))
            x = instrument.note(note.pitch, max(0.06, seconds), note.velocity, rng)
            track.add(x, max(0.0, plan.time(note.start) + late))
    return track.sound, f"{instrument.name}/{style}"


_STYLES: dict[str, tuple[str, ...]] = {
    "rock": ("eighths", "kick", "groove"), "metal": ("eighths", "sixteenths", "kick"), "jazz": ("walking",),
    "house": ("offbeat", "groove", "octaves"), "techno": ("offbeat", "sixteenths", "held"), "trap": ("kick", "held"),
    "dnb": ("held", "groove"), "funk": ("groove", "kick", "sixteenths"), "disco": ("octaves", "groove"),
    "reggae": ("groove", "kick"), "ballad": ("held", "kick"), "ambient": ("held",), "latin": ("tumbao", "groove"),
}  # fmt: skip


def _bass_line(rng: Generator, plan: Plan, section: Section, style: str, low: int, kicks: list[float]) -> list[Note]:
    notes: list[Note] = []
    groove = [step / 4 for step in range(16) if step == 0 or rng.random() < 0.32]
    for chord in plan.chords:
        start, end = max(chord.start, section.start), min(chord.start + chord.beats, section.end)
        if end - start < 0.2:
            continue
        for beat, length in _onsets(plan, style, start, end, groove, kicks):
            pitch = _bass_pitch(rng, plan, chord, style, beat - start, low)
            if rng.random() > 0.03:
                notes.append(Note(beat, min(length, end - beat), pitch, float(rng.uniform(0.7, 1.0))))
    return notes


def _onsets(
    plan: Plan, style: str, start: float, end: float, groove: list[float], kicks: list[float]
) -> list[tuple[float, float]]:
    """(beat, length in beats) of a chord's bass notes."""
    if style == "held":
        return [(start, end - start)]
    if style == "kick":
        beats = [round(kick * plan.bpm / 60 * 4) / 4 for kick in kicks]
        inside = sorted({start, *(beat for beat in beats if start <= beat < end - 0.1)})
    elif style in ("groove", "tumbao"):
        cells = groove if style == "groove" else [0.0, 1.5, 3.0]
        inside = sorted({start, *(start + cell for cell in cells if start + cell < end - 0.1)})
    else:
        step = {"eighths": 0.5, "octaves": 0.5, "sixteenths": 0.25, "walking": 1.0, "offbeat": 1.0}[style]
        first = start + (0.5 if style == "offbeat" else 0.0)
        inside = [float(beat) for beat in np.arange(first, end - 0.05, step)]
    lengths = [later - beat for beat, later in zip(inside, [*inside[1:], end], strict=True)] if inside else []
    if style == "offbeat":
        lengths = [0.5] * len(inside)
    return list(zip(inside, lengths, strict=True))


def _bass_pitch(rng: Generator, plan: Plan, chord: Chord, style: str, beat: float, low: int) -> int:
    root = chord.root_above(low)
    if style == "octaves":
        return root + (12 if round(beat * 2) % 2 else 0)
    if style == "walking" and beat >= 1:
        return int(rng.choice([root + tone for tone in chord.tones] + [plan.key.snap(root + int(rng.integers(1, 8)))]))
    if style in ("groove", "sixteenths", "tumbao") and beat > 0 and rng.random() < 0.35:
        return root + int(rng.choice([12, 7, 10, 5, -5, 12]))
    return root if rng.random() < 0.94 else root + 7
