"""The vocal stem: real phrases, melodies of sung notes, a synthetic singer, chops, choirs, whispers, speech."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data import singer
from streamsep.data.arrange import Plan, Section
from streamsep.data.bank import Bank, Clip
from streamsep.data.phrases import Voices, mono_piece, shift_into_key, voices_of, whispered
from streamsep.data.theory import Note, melody
from streamsep.data.track import Track, faded, levelled, read_at, repitch, stretch

Sound = NDArray[np.float32]

_WEIGHTS: dict[str, float] = {
    "phrases": 0.36, "slices": 0.18, "notes": 0.16, "formant": 0.13, "chops": 0.06, "choir": 0.04, "whisper": 0.02,
    "speech": 0.04,
}  # fmt: skip


def vocal_part(rng: Generator, plan: Plan, bank: Bank | None, samples: int) -> tuple[Sound, list[str]]:
    """The dry vocal stem ``[2, samples]`` and what it was made of.

    A song has a lead of one kind; now and then a second kind answers it. The lead is often doubled or harmonised.
    """
    voices = voices_of(bank)
    kinds = _possible(voices)
    weights = np.array([_WEIGHTS[kind] for kind in kinds])
    chosen = [str(rng.choice(kinds, p=weights / weights.sum()))]
    if rng.random() < 0.3:
        weights[kinds.index(chosen[0])] = 0
        chosen.append(str(rng.choice(kinds, p=weights / weights.sum())))
    lead = Track(samples)
    for index, kind in enumerate(chosen):
        player = _PLAYERS[kind](rng, plan, bank, voices)
        for section in plan.playing("vocals"):
            if index == 0 or rng.random() < 0.5:
                player(lead, section, 1.0 if index == 0 else 0.6)
    return _thickened(lead.sound, rng, chosen), chosen


Player = Callable[[Track, Section, float], None]


def _possible(voices: Voices) -> list[str]:
    kinds = ["formant", "choir"]
    if voices.phrases:
        kinds += ["phrases", "chops", "whisper"]
    if voices.long:
        kinds.append("slices")
    if voices.singers:
        kinds.append("notes")
    if voices.speech:
        kinds.append("speech")
    return kinds


def _thickened(x: Sound, rng: Generator, kinds: list[str]) -> Sound:
    """Doubles (a wandering few milliseconds and cents) and harmonies, left and right."""
    out = x.copy()
    if rng.random() < 0.35:
        gain = np.float32(rng.uniform(0.3, 0.8))
        for side in range(2):
            out[side] += gain * _wandering(x[side], rng)
    if rng.random() < 0.22 and "speech" not in kinds:
        interval = float(rng.choice([-12, -5, -4, -3, 3, 4, 5, 7, 12]))
        ratio = 2 ** (interval / 12)
        voice = stretch(repitch(x, interval), ratio)
        n = min(x.shape[1], voice.shape[1])
        out[:, :n] += np.float32(rng.uniform(0.2, 0.6)) * voice[:, :n]
    return out


def _wandering(x: Sound, rng: Generator) -> Sound:
    n = len(x)
    knots = rng.uniform(0.004, 0.035, max(4, n // 24_000))
    delay = np.interp(np.arange(n), np.linspace(0, n, len(knots)), knots) * SAMPLE_RATE
    return read_at(x, np.arange(n) - delay)


def _random_shift(rng: Generator) -> float:
    """Semitones: near the recording most of the time, down to where men sing in a quarter of the songs."""
    return float(rng.uniform(-9, -4)) if rng.random() < 0.28 else float(np.clip(rng.normal(0, 2.2), -4, 4))


def _moved(x: Sound, shift: float, keep_length: bool) -> Sound:
    moved = repitch(x, shift)
    return stretch(moved, 2 ** (shift / 12)) if keep_length else moved


def _phrases(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    """Real phrases, one after the other with rests, shifted alike through the song."""
    assert bank is not None
    names = sorted(voices.phrases)
    odds = np.sqrt([len(voices.phrases[name]) for name in names])
    clips = voices.phrases[str(rng.choice(names, p=odds / odds.sum()))]
    repertoire = [clips[int(i)] for i in rng.integers(len(clips), size=int(rng.integers(3, 14)))]
    shift, keep = _random_shift(rng), rng.random() < 0.6

    def sound() -> Sound:
        clip = repertoire[int(rng.integers(len(repertoire)))]
        return _moved(mono_piece(bank, clip, rng, 12.0), shift_into_key(clip, plan.key, shift), keep)

    return _one_after_another(rng, plan, sound, (0.0, 0.5, 1.0, 2.0, 4.0))


def _slices(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    """Stretches of whole vocal stems."""
    assert bank is not None
    clip = voices.long[int(rng.integers(len(voices.long)))]
    shift, keep = _random_shift(rng) * 0.8, rng.random() < 0.6

    def sound() -> Sound:
        return _moved(mono_piece(bank, clip, rng, float(rng.uniform(3, 14))), shift, keep)

    return _one_after_another(rng, plan, sound, (0.0, 0.0, 0.5, 2.0))


def _speech(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    assert bank is not None
    shift = float(rng.uniform(-5, 3))

    def sound() -> Sound:
        clip = voices.speech[int(rng.integers(len(voices.speech)))]
        return _moved(mono_piece(bank, clip, rng, float(rng.uniform(1.5, 6))), shift, True)

    return _one_after_another(rng, plan, sound, (0.0, 1.0, 2.0))


def _whisper(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    assert bank is not None
    clips = [clip for group in voices.phrases.values() for clip in group] + voices.speech

    def sound() -> Sound:
        x = mono_piece(bank, clips[int(rng.integers(len(clips)))], rng, 5.0)
        return whispered(x if x.ndim == 1 else x.mean(0), rng)

    return _one_after_another(rng, plan, sound, (0.0, 1.0, 2.0, 4.0))


def _one_after_another(rng: Generator, plan: Plan, sound: Callable[[], Sound], rests: tuple[float, ...]) -> Player:
    pan = float(rng.normal(0, 0.08))

    def play(track: Track, section: Section, gain: float) -> None:
        at = section.start + float(rng.choice([0.0, 0.0, 1.0, 2.0]))
        end = plan.time(section.end)
        repeated: Sound | None = None
        while at < section.end - 0.5:
            x = repeated if repeated is not None and rng.random() < 0.2 else sound()
            room = int((end - plan.time(at)) * SAMPLE_RATE)
            x = faded(x[..., :room], 0.003, 0.06) if x.shape[-1] > room else x
            track.add(x, plan.time(at), gain * float(10 ** (rng.normal(0, 1.5) / 20)), pan)
            repeated = x
            beats = x.shape[-1] / SAMPLE_RATE * plan.bpm / 60
            at += max(0.5, np.ceil(beats * 2) / 2) + float(rng.choice(rests))

    return play


def _chops(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    """Short pieces of one phrase, played like a keyboard on a rhythm."""
    assert bank is not None
    clips = voices.phrases[str(rng.choice(sorted(voices.phrases)))]
    base = mono_piece(bank, clips[int(rng.integers(len(clips)))], rng, 6.0)
    pieces: list[Sound] = []
    for _ in range(int(rng.integers(2, 6))):
        n = int(SAMPLE_RATE * rng.uniform(0.08, 0.5))
        start = int(rng.integers(0, max(1, base.shape[-1] - n)))
        shift = float(rng.choice([-12, -7, -5, 0, 0, 0, 3, 5, 7]))
        pieces.append(faded(levelled(repitch(base[..., start : start + n], shift)), 0.003, 0.02))
    rhythm = [(float(s) / 4, int(rng.integers(len(pieces)))) for s in range(16) if rng.random() < 0.35]

    def play(track: Track, section: Section, gain: float) -> None:
        bar = section.start
        while bar < section.end:
            if rng.random() < 0.85:
                for beat, index in rhythm:
                    if bar + beat < section.end:
                        pan = float(rng.uniform(-0.4, 0.4))
                        track.add(pieces[index], plan.time(bar + beat), gain * float(rng.uniform(0.6, 1.0)), pan)
            bar += 4.0

    return play


def _notes(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    """A melody strung from recorded single notes and syllables of one singer."""
    assert bank is not None
    clips = voices.singers[str(rng.choice(sorted(voices.singers)))]
    pitches = np.array([clip.pitch for clip in clips], np.float64)
    offset = float(rng.choice([0, 0, 0, -5, 4]))  # moves the formants: another singer of the same family
    low = round(float(np.percentile(pitches, 15))) - 3 + round(offset)
    high = max(low + 9, round(float(np.percentile(pitches, 85))) + 3 + round(offset))
    busy, vibrato = float(rng.uniform(0.2, 0.8)), float(rng.choice([0.0, 0.15, 0.4, 0.7]))

    def play(track: Track, section: Section, gain: float) -> None:
        before: Note | None = None
        for note in melody(rng, plan.key, list(plan.chords), section.start, section.beats, low, high, busy):
            gaps = np.abs(pitches + offset - note.pitch)
            near = np.flatnonzero(gaps <= max(2.5, float(gaps.min()) + 0.5))
            clip = clips[int(near[int(rng.integers(len(near)))])]
            seconds = plan.time(note.start + note.beats) - plan.time(note.start)
            bound = before is not None and note.start - before.start - before.beats < 0.3
            slide = float(before.pitch - note.pitch) if bound and before is not None else -float(rng.uniform(0, 2))
            x = _sung_note(bank, clip, note.pitch, seconds, vibrato, slide, rng)
            track.add(x, plan.time(note.start), gain * note.velocity)
            before = note

    return play


def _sung_note(
    bank: Bank, clip: Clip, pitch: float, seconds: float, vibrato: float, slide: float, rng: Generator
) -> Sound:
    x = levelled(bank.load(clip).mean(0))
    level = np.abs(x)
    x = x[max(0, int(np.argmax(level > 0.05 * level.max())) - 240) :]
    shift = pitch - (clip.pitch or pitch)
    n = int((seconds + 0.05) * SAMPLE_RATE)
    needed = n * 2 ** (shift / 12) + 2_400
    x = stretch(x, min(3.0, needed / len(x))) if needed > len(x) else x
    t = np.arange(n) / SAMPLE_RATE
    bend = shift + np.clip(slide, -7, 7) * np.exp(-t / 0.035)
    bend += vibrato * np.clip((t - 0.2) / 0.3, 0, 1) * np.sin(2 * np.pi * float(rng.uniform(4.8, 6.4)) * t)
    return faded(read_at(x, np.cumsum(2 ** (bend / 12))), 0.008, 0.05)


def _formant(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    voice = singer.random_voice(rng)
    busy = float(rng.uniform(0.25, 0.85))

    def play(track: Track, section: Section, gain: float) -> None:
        line = melody(rng, plan.key, list(plan.chords), section.start, section.beats, voice.low, voice.high, busy)
        before: Note | None = None
        for note in line:
            seconds = plan.time(note.start + note.beats) - plan.time(note.start)
            bound = before is not None and note.start - before.start - before.beats < 0.3
            x = singer.sing(
                voice, note.pitch, seconds, note.velocity, rng, float(before.pitch) if bound and before else None
            )
            track.add(x, plan.time(note.start), gain)
            before = note

    return play


def _choir(rng: Generator, plan: Plan, bank: Bank | None, voices: Voices) -> Player:
    """Chords held by several singers, recorded ones where there are any."""
    names = sorted(voices.singers)
    recorded = voices.singers[str(rng.choice(names))] if names and bank is not None and rng.random() < 0.6 else None
    count = int(rng.integers(2, 5))
    people = [singer.random_voice(rng) for _ in range(count)]

    def play(track: Track, section: Section, gain: float) -> None:
        for chord in plan.chords:
            if not section.start - 0.01 <= chord.start < section.end - 0.5 or rng.random() < 0.15:
                continue
            seconds = plan.time(min(section.end, chord.start + chord.beats)) - plan.time(chord.start)
            for index, person in enumerate(people):
                pan = (index / max(1, count - 1) - 0.5) * 1.2
                if recorded is not None and bank is not None:
                    low = int(np.median([clip.pitch or 60 for clip in recorded])) - 6
                    pitch = chord.notes(low, count)[index]
                    clip = min(recorded, key=lambda c: abs((c.pitch or 60) - pitch) + float(rng.random()))
                    x = _sung_note(bank, clip, pitch, seconds, 0.2, 0.0, rng)
                else:
                    pitch = chord.notes(person.low + 2, 2)[0]
                    x = singer.sing(person, pitch, seconds, 0.7, rng, None)
                late = float(rng.uniform(0, 0.05))
                track.add(faded(x, min(0.15, seconds / 3), 0.05), plan.time(chord.start) + late, gain * 0.6, pan)

    return play


_PLAYERS: dict[str, Callable[[Generator, Plan, Bank | None, Voices], Player]] = {
    "phrases": _phrases, "slices": _slices, "notes": _notes, "formant": _formant, "chops": _chops, "choir": _choir,
    "whisper": _whisper, "speech": _speech,
}  # fmt: skip
