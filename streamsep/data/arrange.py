"""The plan of a song: tempo, metre, key, chords, and which stem plays when. Knows beats; knows nothing of sound."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from streamsep.config import STEMS
from streamsep.data.theory import Chord, Key, chord_at, random_chords, random_key

# genre → (slowest, fastest) beats a minute
GENRES: dict[str, tuple[int, int]] = {
    "rock": (90, 160), "pop": (84, 130), "house": (118, 130), "techno": (122, 145), "hiphop": (72, 100),
    "trap": (120, 160), "dnb": (160, 180), "funk": (92, 122), "jazz": (90, 180), "ballad": (60, 84),
    "latin": (88, 128), "metal": (110, 180), "reggae": (68, 92), "disco": (108, 128), "ambient": (60, 100),
    "halftime": (70, 110),
}  # fmt: skip
# Chance that a whole song lacks the stem.
_ABSENT = {"vocals": 0.15, "drums": 0.08, "bass": 0.08, "other": 0.08}
# Chance that a stem plays in a kind of section.
_PLAYS: dict[str, dict[str, float]] = {
    "intro": {"vocals": 0.25, "drums": 0.5, "bass": 0.45, "other": 0.9},
    "verse": {"vocals": 0.95, "drums": 0.9, "bass": 0.9, "other": 0.9},
    "chorus": {"vocals": 0.97, "drums": 0.98, "bass": 0.97, "other": 0.97},
    "break": {"vocals": 0.5, "drums": 0.35, "bass": 0.4, "other": 0.7},
    "solo": {"vocals": 0.1, "drums": 0.9, "bass": 0.9, "other": 1.0},
    "acappella": {"vocals": 1.0, "drums": 0.1, "bass": 0.1, "other": 0.25},
}
_FOLLOWS: dict[str, tuple[str, ...]] = {
    "": ("intro", "verse", "verse", "chorus"),
    "intro": ("verse", "verse", "chorus"),
    "verse": ("chorus", "chorus", "verse", "break", "solo"),
    "chorus": ("verse", "break", "solo", "acappella", "chorus"),
    "break": ("chorus", "verse", "solo"),
    "solo": ("chorus", "verse"),
    "acappella": ("chorus", "verse"),
}


@dataclass(frozen=True)
class Section:
    """Beats ``start`` to ``end``; ``energy`` 0 to 1; ``stems`` play in it."""

    kind: str
    start: float
    end: float
    energy: float
    stems: frozenset[str]

    @property
    def beats(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Plan:
    """All that the players of a song agree on."""

    seconds: float
    bpm: float
    meter: int
    swing: float  # 0: straight, 0.33: triplets
    genre: str
    key: Key
    chords: tuple[Chord, ...]
    sections: tuple[Section, ...]
    stems: frozenset[str]

    @property
    def beats(self) -> float:
        return self.seconds * self.bpm / 60.0

    def time(self, beat: float) -> float:
        """Seconds at which ``beat`` falls, off-beats pushed by the swing."""
        whole = int(beat * 2) / 2
        if self.swing and (whole * 2) % 2 == 1 and abs(beat - whole) < 1e-6:
            beat += self.swing / 2
        return beat * 60.0 / self.bpm

    def chord(self, beat: float) -> Chord:
        return chord_at(list(self.chords), beat)

    def playing(self, stem: str) -> list[Section]:
        return [section for section in self.sections if stem in section.stems]


def make_plan(rng: Generator, seconds: float) -> Plan:
    """Draw a plan. Every song has at least one stem that plays somewhere."""
    genre = str(rng.choice(list(GENRES)))
    low, high = GENRES[genre]
    bpm = float(rng.uniform(low, high)) if rng.random() < 0.9 else float(rng.uniform(60, 180))
    meter = 3 if rng.random() < 0.08 else 4
    swing = float(rng.uniform(0.1, 0.33)) if genre == "jazz" or rng.random() < 0.15 else 0.0
    key = random_key(rng)
    beats = seconds * bpm / 60.0
    stems = frozenset(stem for stem in STEMS if rng.random() >= _ABSENT[stem]) or frozenset(STEMS)
    sections = _sections(rng, beats, meter, bpm, stems)
    chords = tuple(random_chords(rng, key, beats + 8, meter))
    return Plan(seconds, bpm, meter, swing, genre, key, chords, sections, stems)


def _sections(rng: Generator, beats: float, meter: int, bpm: float, stems: frozenset[str]) -> tuple[Section, ...]:
    bars = [2, 4, 4, 8] if bpm < 125 else [4, 8, 8]
    sections: list[Section] = []
    at, kind = 0.0, ""
    while at < beats:
        kind = str(rng.choice(_FOLLOWS[kind]))
        end = min(beats, at + meter * int(rng.choice(bars)))
        if beats - end < meter:
            end = beats
        playing = frozenset(stem for stem in STEMS if stem in stems and rng.random() < _PLAYS[kind][stem])
        energy = {"intro": 0.4, "verse": 0.6, "chorus": 0.9, "break": 0.3, "solo": 0.8, "acappella": 0.4}[kind]
        sections.append(Section(kind, at, end, float(energy * rng.uniform(0.8, 1.1)), playing))
        at = end
    missing = stems - frozenset().union(*(section.stems for section in sections))
    if missing:  # a stem that the song has is heard at least once
        index = int(rng.integers(len(sections)))
        chosen = sections[index]
        sections[index] = Section(chosen.kind, chosen.start, chosen.end, chosen.energy, chosen.stems | missing)
    return tuple(sections)
