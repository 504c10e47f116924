"""Keys, chords, lines, plans: what is written down before anything sounds."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.data.arrange import make_plan
from streamsep.data.rhythm import drum_strokes
from streamsep.data.theory import MODES, Chord, Key, melody, random_chords


@pytest.mark.parametrize("seed", range(8))
def test_melody_stays_in_key_range_and_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    key = Key(2, "minor", MODES["minor"])
    line = melody(rng, key, random_chords(rng, key, 32, 4), 4.0, 24.0, 57, 74, 0.6)
    assert line
    ends = [note.start + note.beats for note in line]
    assert min(note.start for note in line) >= 4.0 and max(ends) <= 28.0 + 1e-6
    assert all(57 <= note.pitch <= 74 for note in line)
    assert np.mean([(note.pitch - key.tonic) % 12 in key.steps for note in line]) > 0.9
    assert all(later.start >= end - 1e-6 for end, later in zip(ends, line[1:], strict=False))


def test_chords_cover_the_song_and_name_their_notes() -> None:
    rng = np.random.default_rng(0)
    key = Key(0, "major", MODES["major"])
    chords = random_chords(rng, key, 40, 4)
    assert chords[0].start == 0 and chords[-1].start + chords[-1].beats >= 40
    for before, after in zip(chords, chords[1:], strict=False):
        assert after.start == before.start + before.beats
    c = Chord(0, 4, 0, (0, 4, 7))
    assert c.notes(48, 4) == [48, 52, 55, 60] and c.root_above(50) == 60


@pytest.mark.parametrize("seed", range(20))
def test_sections_tile_the_song(seed: int) -> None:
    plan = make_plan(np.random.default_rng(seed), 30.0)
    assert plan.sections[0].start == 0 and plan.sections[-1].end == pytest.approx(plan.beats)
    for before, after in zip(plan.sections, plan.sections[1:], strict=False):
        assert after.start == before.end > before.start
    heard = frozenset().union(*(section.stems for section in plan.sections))
    assert heard == plan.stems != frozenset()


def test_stems_are_absent_as_often_as_meant() -> None:
    plans = [make_plan(np.random.default_rng(seed), 30.0) for seed in range(600)]
    share = {stem: float(np.mean([stem not in plan.stems for plan in plans])) for stem in ("vocals", "drums")}
    assert 0.10 < share["vocals"] < 0.20 and 0.04 < share["drums"] < 0.12


def test_strokes_are_in_order_and_only_where_drums_play() -> None:
    for seed in range(12):
        plan = make_plan(np.random.default_rng(seed), 30.0)
        strokes = drum_strokes(np.random.default_rng(seed), plan)
        times = [stroke.seconds for stroke in strokes]
        assert times == sorted(times) and all(0 < stroke.velocity <= 1 for stroke in strokes)
        spans = [(plan.time(s.start) - 0.1, plan.time(s.end) + 0.2) for s in plan.playing("drums")]
        assert all(any(low <= time <= high for low, high in spans) for time in times)
