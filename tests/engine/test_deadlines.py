"""Overload on a simulated clock: who is given less, in which order, and that all come back. The net is real."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from streamsep.engine.batch import Batch
from streamsep.engine.deadlines import Deadlines, Limits
from streamsep.engine.levels import Level
from streamsep.engine.scheduler import Scheduler
from streamsep.engine.separator import Separator

Sound = np.ndarray
FRAME = 0.04
LIMITS = Limits(calm=0.25, calmest=1.0)


@dataclass
class Clock:
    """Seconds pass only where a test says so; ``costs``: of a stream in a step."""

    now: float = 100.0
    costs: dict[Level, float] = field(default_factory=dict)

    def __call__(self) -> float:
        return self.now


@dataclass
class Player:
    """Live: a frame every 40 ms from ``start`` on. Else as many as are asked for."""

    clock: Clock
    start: float
    live: bool = True
    lookahead: int = 0
    renew: bool = False
    frames: int = 0
    worst: float = 0.0

    def due(self) -> bool:
        return not self.live or self.clock.now >= self.start + FRAME * self.frames

    def behind(self, now: float) -> float:
        return now - self.start - FRAME * self.frames

    def next(self) -> Sound:
        rng = np.random.default_rng(self.frames)
        return (0.1 * rng.standard_normal((2, 1_920))).astype(np.float32)

    def give(self, stems: Sound, now: float) -> None:
        assert stems.shape == (4, 2, 1_920) and np.isfinite(stems).all()
        self.worst = max(self.worst, self.behind(now))
        self.frames += 1


class Stage:
    """A scheduler whose steps take simulated seconds."""

    def __init__(self, net, monkeypatch: pytest.MonkeyPatch, slots: int = 8, limits: Limits | None = LIMITS) -> None:  # noqa: ANN001
        self.clock = clock = Clock()
        self.scheduler = Scheduler(net, slots, limits=limits, clock=clock)
        self.players: dict[str, Player] = {}
        real = Batch.tick

        def tick(batch: Batch, blocks: dict[int, Sound], level: Level = Level.FULL) -> dict[int, Sound]:
            clock.now += clock.costs[level] * len(blocks)
            return real(batch, blocks, level)

        monkeypatch.setattr(Batch, "tick", tick)

    def join(self, count: int, live: bool = True) -> None:
        for _ in range(count):
            name = f"{'live' if live else 'file'} {len(self.players)}"
            # At phases of their own.
            self.players[name] = Player(self.clock, self.clock.now + 0.007 * len(self.players), live)
            self.scheduler.join(name, self.players[name])

    def run(self, seconds: float) -> dict[str, Counter[Level]]:
        """Levels given, by session."""
        until, given = self.clock.now + seconds, {name: Counter[Level]() for name in self.players}
        for player in self.players.values():
            player.worst = 0.0
        while self.clock.now < until:
            if not self.scheduler.due():
                self.clock.now += 0.001
                continue
            for name, level in self.scheduler.tick().levels.items():
                given[name][level] += 1
        return given

    def costs(self, full: float, light: float, dry: float = 0.0002) -> None:
        self.clock.costs = {Level.FULL: full, Level.LIGHT: light, Level.DRY: dry}


@pytest.fixture
def stage(separator: Separator, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(separator.net, monkeypatch)


def test_with_time_enough_nobody_gives_way(stage: Stage) -> None:
    stage.costs(0.009, 0.002)
    stage.join(4)
    for counts in stage.run(1).values():
        assert set(counts) == {Level.FULL}
    assert max(player.worst for player in stage.players.values()) < LIMITS.patience


def test_overload_takes_the_guide_head_and_ends_in_full(stage: Stage) -> None:
    stage.join(4)
    stage.costs(0.009, 0.002)
    stage.run(1)
    stage.costs(0.015, 0.003)  # 60 ms of work a frame
    given = stage.run(2)
    assert any(counts[Level.LIGHT] for counts in given.values())
    assert any(counts[Level.FULL] > 40 for counts in given.values())  # only as many as must be
    assert not any(counts[Level.DRY] for counts in given.values())
    assert max(player.worst for player in stage.players.values()) < LIMITS.light + 2 * FRAME
    stage.costs(0.009, 0.002)
    stage.run(LIMITS.calmest + 0.6)
    for counts in stage.run(0.4).values():
        assert set(counts) == {Level.FULL}
    assert max(player.worst for player in stage.players.values()) < LIMITS.patience


def test_a_worse_overload_takes_the_net_and_ends_in_full(stage: Stage) -> None:
    stage.join(4)
    stage.costs(0.05, 0.03)  # even the guide heads are three times too slow
    given = stage.run(3)
    assert any(counts[Level.LIGHT] for counts in given.values())
    assert any(counts[Level.DRY] for counts in given.values())
    assert max(player.worst for player in stage.players.values()) < LIMITS.dry + 0.2
    assert all(abs(player.behind(stage.clock.now)) < 1 for player in stage.players.values())  # the pace is kept
    stage.costs(0.009, 0.002)
    stage.run(2 * LIMITS.calmest + 0.6)
    for counts in stage.run(0.4).values():
        assert set(counts) == {Level.FULL}


def test_a_lasting_overload_is_no_flutter(stage: Stage) -> None:
    stage.join(3)
    stage.costs(0.02, 0.003)
    stage.run(4)
    steps = 0
    before: dict[str, Level] = {}
    until = stage.clock.now + 5
    while stage.clock.now < until:
        if not stage.scheduler.due():
            stage.clock.now += 0.001
            continue
        for name, level in stage.scheduler.tick().levels.items():
            steps += before.get(name, level) != level
            before[name] = level
    assert steps <= 3 * 2 * (5 / LIMITS.calmest + 1)


def test_one_hitch_costs_no_more_than_a_moment(stage: Stage) -> None:
    stage.join(2)
    stage.costs(0.009, 0.002)
    stage.run(1)
    stage.clock.now += 0.3
    given = stage.run(0.3)
    assert not any(counts[Level.DRY] for counts in given.values())
    stage.run(1)
    for counts in stage.run(0.4).values():
        assert set(counts) == {Level.FULL}


def test_without_limits_nobody_ever_gives_way(separator: Separator, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(separator.net, monkeypatch, limits=None)
    stage.costs(0.05, 0.002)
    stage.join(2)
    for counts in stage.run(1).values():
        assert set(counts) == {Level.FULL}


def test_files_take_what_live_sound_leaves(stage: Stage) -> None:
    stage.costs(0.005, 0.002)
    stage.join(2)
    stage.join(6, live=False)  # all at once they would take 30 ms of every 40
    given = stage.run(2)
    files = [counts[Level.FULL] for name, counts in given.items() if name.startswith("file")]
    for name, counts in given.items():
        assert set(counts) == {Level.FULL}
        if name.startswith("live"):
            assert stage.players[name].worst < LIMITS.patience + 2 * 0.005
            assert counts[Level.FULL] >= 2 / FRAME - 3
    assert min(files) > 20 and max(files) - min(files) <= 2  # and share it evenly


def test_the_furthest_behind_gives_way_first() -> None:
    deadlines = Deadlines(LIMITS)
    deadlines.learn(Level.FULL, 1, 0.02)
    deadlines.learn(Level.LIGHT, 1, 0.001)
    levels = deadlines.plan({"a": 0.12, "b": 0.15, "c": 0.01}, 0.0)
    assert levels == {"a": Level.FULL, "b": Level.LIGHT, "c": Level.FULL}


def test_a_session_that_fails_fails_alone(stage: Stage) -> None:
    stage.costs(0.001, 0.001)
    stage.join(3)
    bad = list(stage.players)[1]

    def broken() -> Sound:
        raise RuntimeError("no sound")

    stage.players[bad].next = broken
    stage.clock.now += 0.02
    tick = stage.scheduler.tick()
    assert set(tick.failed) == {bad} and set(tick.levels) == set(stage.players) - {bad}
    stage.players.pop(bad)
    assert all(counts for counts in stage.run(0.2).values())
    stage.scheduler.join(bad, Player(stage.clock, 0.0))
