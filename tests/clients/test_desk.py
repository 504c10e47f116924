"""What a server that knows nothing is told of the changes before."""

from __future__ import annotations

from clients.python.desk import Desk
from streamsep.protocol import Hello, Set

HELLO = Hello(1, 48_000, 2)


def test_gains_are_those_of_single_stems_all_else_is_whole() -> None:
    desk = Desk()
    for change in (
        Set(gains={"vocals": 0.0, "bass": 2.0}, mute=("drums",)),
        Set(gains={"bass": 0.5}, solo=("vocals",)),
        Set(mute=("other",), stems=("mix",), lookahead=1),
    ):
        desk.ask(change, 100)
    desk.passed(100)
    fresh = desk.hello(HELLO)
    assert (fresh.stems, fresh.lookahead) == (("mix",), 1)
    faders = Set(gains={"vocals": 0.0, "bass": 0.5}, mute=("other",), solo=("vocals",))
    assert desk.again(fresh) == [faders]
    assert Desk().again(HELLO) == []


def test_what_changed_after_hello_was_said_is_told_too() -> None:
    desk = Desk()
    desk.ask(Set(lookahead=1), 100)
    fresh = desk.hello(HELLO)
    desk.passed(100)
    assert desk.again(fresh) == [Set(lookahead=1)]


def test_a_change_holds_from_its_position() -> None:
    desk = Desk()
    later, first = Set(500, gains={"vocals": 0.0}), Set(300, mute=("drums",))
    for change in (later, Set(solo=("bass",)), first, Set(20, gains={"drums": 0.5})):
        desk.ask(change, 100)
    desk.passed(99)
    assert desk.again(HELLO) == [first, later]  # what follows sound that is said again is said with it
    desk.passed(100)
    assert desk.again(HELLO) == [Set(gains={"drums": 0.5}, solo=("bass",)), first, later]
    desk.passed(500)
    assert desk.again(HELLO) == [Set(gains={"drums": 0.5, "vocals": 0.0}, mute=("drums",), solo=("bass",))]
