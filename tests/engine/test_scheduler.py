"""Sessions that join, pause, are parked and come back, here or in another engine. At random: ``test_state_machine``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streamsep.engine.memory import Footprint
from streamsep.engine.parked import Parked
from streamsep.engine.scheduler import Scheduler
from streamsep.errors import CapacityError, ParkedError
from tests.engine.world import FRAMES, Player, net


def play(scheduler: Scheduler, player: Player, frames: int) -> None:
    for _ in range(frames):
        player.ready = True
        scheduler.tick()
    assert not player.wrong


def test_who_has_been_paused_longest_makes_room_and_comes_back() -> None:
    scheduler = Scheduler(net(), 2, exact=True, poison=True)
    a, b, c = (Player(number, "mask", 0) for number in range(3))
    for name, player in (("a", a), ("b", b)):
        scheduler.join(name, player)
        play(scheduler, player, 5)
    with pytest.raises(CapacityError):
        scheduler.join("c", c)
    scheduler.pause("b")
    scheduler.pause("a")
    scheduler.join("c", c)
    play(scheduler, c, 3)
    scheduler.resume("a")  # it had kept its place
    with pytest.raises(CapacityError):
        scheduler.resume("b")
    scheduler.leave("c")
    scheduler.resume("b")
    a.ready = b.ready = True
    assert set(scheduler.tick().levels) == {"a", "b"}
    for player in (a, b):
        play(scheduler, player, 6)
        assert player.at == 12


def test_a_frame_of_a_wrong_length_ends_its_own_session() -> None:
    scheduler = Scheduler(net(), 2, exact=True)
    good, bad = Player(0, "mask", 0), Player(1, "mask", 0)
    scheduler.join("good", good)
    scheduler.join("bad", bad)
    bad.lookahead, good.ready, bad.ready = -1, True, True
    tick = scheduler.tick()
    assert set(tick.failed) == {"bad"} and set(tick.levels) == {"good"}
    play(scheduler, good, 3)


def test_a_paused_session_stands_still() -> None:
    scheduler = Scheduler(net(), 2, exact=True)
    player = Player(0, "mask", 0)
    scheduler.join("a", player)
    play(scheduler, player, 3)
    scheduler.pause("a")
    player.ready = True
    assert not scheduler.due() and not scheduler.tick().levels and player.at == 3
    scheduler.resume("a")
    assert scheduler.due()
    play(scheduler, player, 3)


def test_a_session_goes_on_in_another_engine(tmp_path: Path) -> None:
    here, there = (Scheduler(net(), 1, exact=True, poison=True) for _ in range(2))
    player = Player(1, "codec", 1)
    here.join("a", player, "codec")
    play(here, player, 7)
    here.park("a").to_file(tmp_path / "a.safetensors")
    here.leave("a")
    parked = Parked.from_file(tmp_path / "a.safetensors")
    there.restore("b", player, parked)
    play(there, player, 7)
    odd = Parked(replace(parked.facts, render="magic"), parked.tensors)
    with pytest.raises(ParkedError, match="no render 'magic'"):
        here.restore("c", player, odd)


def test_a_song_that_was_over_when_parked_begins_anew() -> None:
    here, there = (Scheduler(net(), 1, exact=True, poison=True) for _ in range(2))
    player = Player(1, "mask", 1)
    here.join("a", player)
    play(here, player, FRAMES)
    assert player.renew
    there.restore("b", player, here.park("a"))
    play(there, player, 4)
    assert not player.renew


def test_a_memory_budget_says_how_many_come_in() -> None:
    of = Footprint.of(net())
    scheduler = Scheduler(net(), 5, memory=5 * of.slot + (1 + 3 * of.ring) * of.page)
    for number in range(3):
        scheduler.join(str(number), Player(0, "mask", 0))
    with pytest.raises(CapacityError, match="more memory"):
        scheduler.join("3", Player(0, "mask", 0))
    with pytest.raises(CapacityError, match="fewer places"):
        Scheduler(net(), 5, memory=4 * of.slot)
