"""A session between a client whose connection breaks and an engine that dies, whenever: nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamsep.config import STEMS
from streamsep.engine.clock import Clock
from streamsep.engine.separator import Separator
from streamsep.protocol import Audio, Error, Flush, Hello, Mark, Message, Set, decode_samples, encode_samples
from streamsep.serve.outbox import Chunk
from streamsep.serve.scheduler import Scheduler
from streamsep.serve.session import MOST_ASKED, Session
from streamsep.serve.traffic import Change, in_order
from tests.sounds import tune

RATE, CHANNELS = 48_000, 1
ASKED = st.one_of(
    st.tuples(st.just("audio"), st.sampled_from((1, 479, 1_920, 5_000))),
    st.tuples(st.just("audio"), st.sampled_from((700, 5_000))),
    st.tuples(st.just("lookahead"), st.integers(0, 6_000), st.sampled_from((-1, 0, 2))),
    st.tuples(st.just("stems"), st.integers(0, 6_000)),
    st.tuples(st.sampled_from(("flush", "mark", "round", "round", "crash", "die"))),
    st.tuples(st.sampled_from(("read", "lose")), st.integers(1, 8)),
)


class Stage:
    """A session, its engine, and a client that keeps what reaches it."""

    def __init__(self, separator: Separator, lookahead: int) -> None:
        self._separator = separator
        self.scheduler = Scheduler(separator, 1, exact=True)
        self.session = Session(Hello(1, RATE, CHANNELS, live=False, lookahead=lookahead), self._send)
        self.sounds = [np.zeros((CHANNELS, 0), np.float32)]
        self.marks, self.ends = [], []
        self.position = 0  # up to which the client has stems
        self.heard: list[Chunk] = []
        self.told: list[Message] = []

    @property
    def sent(self) -> int:
        return sum(sound.shape[1] for sound in self.sounds)

    def audio(self, count: int) -> None:
        sound = tune(5_000 / RATE, RATE, CHANNELS, len(self.sounds))[:, :count]
        self.session.audio(Audio(0, self.sent, encode_samples(sound, "f32le")))
        self.sounds.append(sound)

    def lookahead(self, ahead: int, lookahead: int) -> None:
        self.session.ask(Set(self.sent + ahead, lookahead=lookahead))

    def stems(self, ahead: int) -> None:
        self.session.ask(Set(self.sent + ahead, stems=(*STEMS, "mix")))

    def mark(self) -> None:
        self.marks.append(Mark(len(self.marks), self.sent))
        self.session.ask(Mark(len(self.marks) - 1))

    def flush(self) -> None:
        self.ends.append(Flush(self.sent))
        self.session.ask(Flush())

    def round(self) -> None:
        if self.scheduler.busy():
            for event in self.scheduler.round().events.get(self.session.id, []):
                self.session.event(event)

    def crash(self) -> None:
        """The engine dies after a step of which nobody heard."""
        if self.scheduler.busy():
            self.scheduler.round()
        self.die()

    def die(self) -> None:
        self.scheduler = Scheduler(self._separator, 1, exact=True)
        self.session.restart()

    def read(self, count: int) -> None:
        for _ in range(min(count, len(self.session.outbox))):
            item = _now(self.session.outbox.take())
            if isinstance(item, Chunk):
                assert item.position == self.position
                self.position = item.end
                self.heard.append(item)
            else:
                self.told.append(item)

    def lose(self, count: int) -> None:
        """The connection breaks with ``count`` messages on their way."""
        for _ in range(min(count, len(self.session.outbox))):
            _now(self.session.outbox.take())
        assert self.session.outbox.rewind(self.position) == 0

    def rest(self) -> None:
        while self.scheduler.busy():
            self.round()
        self.read(len(self.session.outbox))

    def _send(self, command: str, *values: Any) -> None:
        self.scheduler.command(command, *values)


def _now(ready: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that has nothing to wait for."""
    try:
        ready.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ASKED, max_size=40), st.sampled_from((-1, 0, 1)))
@example([("audio", 5_000), ("lookahead", 0, -1), ("flush",), ("die",), ("audio", 700)], 0)
@example([("audio", 5_000), ("round",), ("mark",), ("round",), ("lose", 8), ("crash",)], 0)
def test_whatever_dies_no_sample_and_no_answer_is_lost(separator: Separator, asked: list, lookahead: int) -> None:
    stage = Stage(separator, lookahead)
    for what, *values in [*asked, ("audio", 5_000), ("flush",)]:
        getattr(stage, what)(*values)
    stage.rest()
    sums = [sum(decode_samples(chunk.data[stem], "f32le", CHANNELS) for stem in STEMS) for chunk in stage.heard]
    np.testing.assert_allclose(np.concatenate(sums, axis=1), np.concatenate(stage.sounds, axis=1), atol=1e-4)
    assert not [item for item in stage.told if isinstance(item, Error) and (item.fatal or item.code != "engine")]
    # A lost connection may bring an answer twice.
    assert list(dict.fromkeys(item for item in stage.told if isinstance(item, Mark))) == stage.marks
    ends = dict.fromkeys(item.position for item in stage.told if isinstance(item, Flush))
    assert list(ends) == list(dict.fromkeys(end.position for end in stage.ends))


def test_faders_that_move_while_no_sound_comes_take_no_room(separator: Separator) -> None:
    stage = Stage(separator, 0)
    stage.audio(5_000)
    stage.rest()
    for number in range(2 * MOST_ASKED):
        stage.session.ask(Set(gains={"vocals": number / MOST_ASKED}, mute=("drums",)))
        stage.round()
    stage.session.ask(Set(gains={"bass": 0.5}))
    stage.die()
    stage.audio(5_000)
    stage.rest()
    assert len([item for item in stage.told if isinstance(item, Set)]) > 2 * MOST_ASKED
    desk = stage.session._desk
    assert (desk.gains[0], desk.gains[2], desk.mute) == ((2 * MOST_ASKED - 1) / MOST_ASKED, 0.5, ("drums",))


def test_changes_from_the_same_sample_on_are_one() -> None:
    changes: list[Change] = []
    for change in (
        Change(7, gains={"bass": 0.5, "drums": 0.5}, solo=()),
        Change(7, gains={"bass": 1.0}, mute=("other",)),
        Change(3, solo=("bass",)),
        Change(7, lookahead=1),
        Change(7, solo=("drums",)),
        Change(7, mute=()),
    ):
        changes = in_order(changes, change)
    assert changes == [
        Change(3, solo=("bass",)),
        Change(7, gains={"bass": 1.0, "drums": 0.5}, mute=("other",), solo=()),
        Change(7, lookahead=1),
        Change(7, mute=(), solo=("drums",)),
    ]


def test_the_latency_is_that_of_the_lookahead_that_holds(separator: Separator) -> None:
    stage = Stage(separator, -1)
    assert stage.session.latency == Clock.make(RATE, -1, "mask").latency()
    stage.audio(5_000)
    stage.lookahead(0, 2)
    for _ in range(4):
        stage.audio(5_000)
    stage.rest()
    assert stage.session.latency == Clock.make(RATE, 2, "mask").latency()
