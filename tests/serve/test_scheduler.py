"""Sessions in the engine: order of answers, changes at their sample, songs after songs, failures that stay alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamsep.config import STEMS
from streamsep.engine.separator import Separator
from streamsep.protocol import decode_samples, encode_samples
from streamsep.serve import scheduler
from streamsep.serve.scheduler import TOGETHER, Scheduler
from streamsep.serve.traffic import Change, Changed, Desk, Event, Failed, Flushed, Marked, Sounded, Spec
from tests.engine.helpers import stack
from tests.sounds import tune

SPEC = Spec(48_000, 2, "f32le", 0, "mask", live=False)
EVERY = (*STEMS, "mix")
Sound = np.ndarray


class Bench:
    """A scheduler, driven until it has nothing left to do; keeps every session's events."""

    def __init__(self, separator: Separator, exact: bool = True, slots: int = 8, few: float = float("inf")) -> None:
        self.scheduler = Scheduler(separator, slots, exact, few=few)
        self.events: dict[str, list[Event]] = defaultdict(list)

    def __call__(self, name: str, session: str = "a", *values: object) -> None:
        self.scheduler.command(name, session, *values)

    def run(self) -> None:
        while self.scheduler.busy():
            for session, events in self.scheduler.round().events.items():
                self.events[session].extend(events)

    def play(self, sound: Sound, session: str = "a", block: int = 4_800, spec: Spec = SPEC) -> None:
        for start in range(0, sound.shape[1], block):
            self("audio", session, encode_samples(sound[:, start : start + block], spec.format))
            self.run()

    def sound(self, session: str = "a", spec: Spec = SPEC, start: int = 0) -> Mapping[str, Sound]:
        """Every output, joined; checks that positions leave no gap."""
        parts: dict[str, list[Sound]] = defaultdict(list)
        position = start
        for event in self.events[session]:
            if isinstance(event, Sounded):
                assert event.position == position
                position += event.count
                for name, data in event.data.items():
                    parts[name].append(decode_samples(data, spec.format, spec.channels))
                    assert parts[name][-1].shape[1] == event.count
        return {name: np.concatenate(part, axis=1) for name, part in parts.items()}


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("lookahead", [-1, 1])
def test_stems_are_those_of_the_song(separator: Separator, rate: int, channels: int, lookahead: int) -> None:
    bench, spec = Bench(separator), Spec(rate, channels, "f32le", lookahead, "mask", live=False)
    bench("open", "a", spec)
    songs = [tune(seconds, rate, channels, seed) for seed, seconds in enumerate((0.5, 0.31))]
    for song in songs:
        bench.play(song, spec=spec, block=3_001)
        bench("flush")
    bench.run()
    sound = bench.sound(spec=spec)
    expected = np.concatenate([stack(separator.separate(song, rate, lookahead)) for song in songs], axis=2)
    assert np.array_equal(stack(dict(sound)), expected)
    ends = [event.position for event in bench.events["a"] if isinstance(event, Flushed)]
    assert ends == [songs[0].shape[1], songs[0].shape[1] + songs[1].shape[1]]


def test_a_flush_of_nothing_is_answered(separator: Separator) -> None:
    bench = Bench(separator)
    bench("open", "a", SPEC)
    bench("flush")
    bench.run()
    assert bench.events["a"] == [Flushed(0)]


def test_marks_come_after_the_stems_of_what_was_before(separator: Separator) -> None:
    bench = Bench(separator)
    bench("open", "a", SPEC)
    bench("mark", "a", 1)
    bench.play(tune(0.1, 48_000))
    bench("mark", "a", 2)
    bench.play(tune(0.3, 48_000))
    bench("mark", "a", 3)
    bench("flush")
    bench.run()
    told, position = [], 0
    for event in bench.events["a"]:
        if isinstance(event, Sounded):
            position = event.position + event.count
        elif isinstance(event, Marked):
            told.append((event.id, event.position))
            assert position >= event.position
    assert told == [(1, 0), (2, 4_800), (3, 19_200)]
    assert isinstance(bench.events["a"][-1], Flushed)


def test_changes_hold_from_their_sample(separator: Separator) -> None:
    song = tune(1.0, 48_000)
    expected = stack(separator.separate(song, 48_000))
    bench = Bench(separator)
    bench("open", "a", Spec(48_000, 2, "f32le", 0, "mask", live=False, desk=Desk(stems=("drums", "mix"))))
    bench("set", "a", Change(position=9_001, mute=("vocals",), gains={"bass": 0.5}))
    bench("set", "a", Change(position=30_000, stems=EVERY, solo=("other",)))
    bench.play(song)
    bench("flush")
    bench.run()
    changed = [event.change.position for event in bench.events["a"] if isinstance(event, Changed)]
    assert changed == [9_001, 30_000]
    sound = bench.sound()
    assert np.array_equal(sound["drums"], expected[1])
    assert np.array_equal(sound["vocals"], expected[0][:, 30_000:])
    np.testing.assert_allclose(sound["mix"][:, :9_001], song[:, :9_001], atol=1e-4)
    glide = 2_400  # 50 ms: ten times the time constant of a gain
    faded = expected[1] + 0.5 * expected[2] + expected[3]
    np.testing.assert_allclose(sound["mix"][:, 9_001 + glide : 30_000], faded[:, 9_001 + glide : 30_000], atol=1e-4)
    np.testing.assert_allclose(sound["mix"][:, 30_000 + glide :], expected[3][:, 30_000 + glide :], atol=1e-4)
    assert not np.allclose(sound["mix"][:, 9_001:9_100], faded[:, 9_001:9_100], atol=1e-4)  # it glides


def test_a_change_of_the_past_holds_from_the_next_sample(separator: Separator) -> None:
    bench = Bench(separator)
    bench("open", "a", SPEC)
    bench.play(tune(0.5, 48_000))
    before = bench.sound()["vocals"].shape[1]
    bench("set", "a", Change(position=100, stems=("bass",)))
    bench("flush")
    bench.run()
    sound = bench.sound()
    assert sound["vocals"].shape[1] == before > 0
    assert sound["bass"].shape[1] == 24_000


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize(("old", "new"), [(0, 2), (2, 0), (-1, 1), (1, -1)])
def test_a_new_lookahead_fades_in(separator: Separator, rate: int, old: int, new: int) -> None:
    song, at, fade = tune(1.0, rate), rate // 2 + 17, rate // 50
    bench = Bench(separator)
    bench("open", "a", Spec(rate, 2, "f32le", old, "mask", live=False))
    bench("set", "a", Change(position=at, lookahead=new))
    bench("set", "a", Change(position=at, lookahead=0))  # not before the first has been faded in
    bench.play(song, block=1_234)
    bench("flush")
    bench.run()
    positions = [event.change.position for event in bench.events["a"] if isinstance(event, Changed)]
    assert positions == [at, at + fade]
    stems = stack(dict(bench.sound()))
    assert stems.shape == (4, *song.shape)
    np.testing.assert_allclose(stems.sum(0), song, atol=1e-4)
    assert np.array_equal(stems[..., :at], stack(separator.separate(song[:, : at + fade], rate, old))[..., :at])
    last = stack(separator.separate(song[:, at + fade :], rate, 0))
    assert np.array_equal(stems[..., at + 2 * fade :], last[..., fade:])


def test_a_song_that_ends_in_a_turn_loses_nothing(separator: Separator) -> None:
    for at in (0, 9_000, 9_500, 9_590, 50_000):
        song = tune(0.2, 48_000)
        bench = Bench(separator)
        bench("open", "a", SPEC)
        bench("set", "a", Change(position=at, lookahead=-1))
        bench.play(song, block=700)
        bench("flush")
        bench.play(song, block=700)
        bench("flush")
        bench.run()
        stems = stack(dict(bench.sound()))
        np.testing.assert_allclose(stems.sum(0), np.concatenate([song, song], axis=1), atol=1e-4)
        assert np.array_equal(stems[..., 9_600:], stack(separator.separate(song, 48_000, -1)))


ASKED = st.one_of(
    st.tuples(st.just("audio"), st.sampled_from((1, 479, 700, 1_920, 5_000))),
    st.tuples(st.just("lookahead"), st.integers(0, 6_000), st.sampled_from((-1, 0, 1, 2))),
    st.tuples(st.sampled_from(("flush", "round", "mark"))),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ASKED, max_size=40), st.sampled_from((48_000, 44_100)), st.sampled_from((-1, 0, 1)))
@example([("lookahead", 0, -1), ("audio", 5_000), ("round",), ("lookahead", 0, 1), ("flush",)], 48_000, 0)
@example([("audio", 5_000), ("lookahead", 0, -1), ("flush",), ("audio", 700)], 48_000, 0)
def test_whatever_is_asked_when_no_sample_is_lost(separator: Separator, asked: list, rate: int, lookahead: int) -> None:
    spec = replace(SPEC, rate=rate, lookahead=lookahead)
    bench, sounds, marks, ends = Bench(separator), [tune(0.01, rate)[:, :0]], [], []
    bench("open", "a", spec)
    for what, *values in [*asked, ("audio", 5_000), ("flush",)]:
        done = sum(sound.shape[1] for sound in sounds)
        if what == "audio":
            sounds.append(tune(5_000 / rate, rate, seed=len(sounds))[:, : values[0]])
            bench("audio", "a", encode_samples(sounds[-1], "f32le"))
        elif what == "lookahead":
            bench("set", "a", Change(position=done + values[0], lookahead=values[1]))
        elif what == "mark":
            marks.append(Marked(len(marks), done))
            bench("mark", "a", len(marks) - 1)
        elif what == "flush":
            ends.append(Flushed(done))
            bench("flush")
        elif bench.scheduler.busy():
            bench.events["a"].extend(bench.scheduler.round().events.get("a", []))
    bench.run()
    stems = stack(dict(bench.sound(spec=spec)))
    np.testing.assert_allclose(stems.sum(0), np.concatenate(sounds, axis=1), atol=1e-4)
    assert [event for event in bench.events["a"] if isinstance(event, Marked)] == marks
    assert [event for event in bench.events["a"] if isinstance(event, Flushed)] == ends


def test_sessions_do_not_hear_one_another(separator: Separator) -> None:
    bench, rng = Bench(separator), np.random.default_rng(5)
    songs = {name: tune(0.6, 48_000, seed=seed) for seed, name in enumerate("abcd")}
    done = dict.fromkeys(songs, 0)
    waiting = list(songs)
    playing: list[str] = []
    while waiting or playing:
        if waiting and (not playing or rng.random() < 0.3):
            playing.append(waiting.pop())
            bench("open", playing[-1], SPEC)
            if rng.random() < 0.5:  # one that comes and goes beside them
                bench("open", "x", SPEC)
                bench("audio", "x", encode_samples(tune(0.2, 48_000, seed=9), "f32le"))
                bench.scheduler.round()
                bench("close", "x")
        name = playing[int(rng.integers(len(playing)))]
        size = int(rng.integers(1, 6_000))
        bench("audio", name, encode_samples(songs[name][:, done[name] : done[name] + size], "f32le"))
        done[name] += size
        if done[name] >= songs[name].shape[1]:
            bench("flush", name)
            playing.remove(name)
        bench.run()
    for name, song in songs.items():
        assert np.array_equal(stack(dict(bench.sound(name))), stack(separator.separate(song, 48_000)))


def test_a_session_that_fails_fails_alone(separator: Separator) -> None:
    bench = Bench(separator)
    for name in "ab":
        bench("open", name, SPEC)
    bench("audio", "a", b"123")  # the server lets no part of a sample through: this is a fault of ours
    bench.play(tune(0.2, 48_000), "b")
    bench("flush", "b")
    bench.run()
    assert len(bench.events["a"]) == 1 and isinstance(bench.events["a"][0], Failed)
    assert stack(dict(bench.sound("b"))).shape == (4, 2, 9_600)
    bench("audio", "a", b"")  # unknown by now
    bench("open", "a", SPEC)  # and its place is free
    assert not bench.scheduler.busy()


def test_more_sessions_than_places_are_refused(separator: Separator) -> None:
    bench = Bench(separator, slots=1)
    bench("open", "a", SPEC)
    bench("open", "b", SPEC)
    bench.run()
    assert isinstance(bench.events["b"][0], Failed) and not bench.events["a"]


def test_frames_wait_for_one_another_where_there_are_too_many_to_go_alone(separator: Separator) -> None:
    live, early = replace(SPEC, live=True), time.monotonic()  # before any frame is due
    frame = encode_samples(tune(0.08, 48_000), "f32le")

    def bench(exact: bool = False, sessions: int = 3, lookahead: int = 0) -> Bench:
        bench = Bench(separator, exact, few=2)
        for name in "abc"[:sessions]:
            bench("open", name, replace(live, lookahead=lookahead))
        assert bench.scheduler.wait(early) == float("inf")
        bench("audio", "a", frame)
        return bench

    for at_once in (bench(sessions=2), bench(exact=True), bench(lookahead=-1)):
        assert at_once.scheduler.wait(early) == 0
    held = bench()
    assert held.scheduler.wait(early) >= TOGETHER
    assert held.scheduler.wait(time.monotonic() + TOGETHER) == 0  # but not for ever
    held("audio", "b", frame)
    assert held.scheduler.wait(early) >= TOGETHER
    held("audio", "c", frame)
    assert held.scheduler.wait(early) == 0
    held.run()
    held("audio", "b", frame)
    held("mark", "c", 1)  # its sound is not all given: nothing to tell
    assert held.scheduler.wait(early) >= TOGETHER
    held("set", "c", Change(gains={"bass": 0.5}))  # and now there is
    assert held.scheduler.wait(early) == 0
    held.run()
    held("open", "file", SPEC)
    held("audio", "a", frame)
    held("audio", "file", frame)
    assert held.scheduler.wait(early) == 0


def test_after_a_stall_frames_wait_for_others_no_longer_than_before(
    separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(scheduler, "time", SimpleNamespace(monotonic=lambda: now, perf_counter=time.perf_counter))
    bench, live = Bench(separator, exact=False, few=1), replace(SPEC, live=True)
    frame = encode_samples(np.zeros((2, 1_920), np.float32), SPEC.format)
    for session in ("a", "b", "silent"):
        bench("open", session, live)
    for number in range(1, 40):
        sent = 0.04 * number
        now = max(sent, 1.0) if sent > 0.5 else sent  # what is sent in half a second comes at its end
        for session in ("a", "b"):
            bench("audio", session, frame)
        if sent > 1.0:
            assert 0 < bench.scheduler.wait(now) <= TOGETHER
            assert bench.scheduler.wait(now + TOGETHER) == 0
        bench.run()
