"""A scheduler on a simulated clock, its real net and players that come at phases of their own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from streamsep.engine.batch import Batch
from streamsep.engine.deadlines import Limits
from streamsep.engine.levels import Level
from streamsep.engine.scheduler import Scheduler
from streamsep.model.net import Net

Sound = np.ndarray
FRAME = 0.04
LIMITS = Limits(calm=0.25, calmest=1.0)


@dataclass
class Clock:
    """Seconds pass only where a test says so; ``costs``: of a stream in a step, or of a step where there are graphs."""

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

    def __init__(
        self, net: Net, monkeypatch: pytest.MonkeyPatch, limits: Limits | None = LIMITS, graphs: bool = False
    ) -> None:
        self.clock = clock = Clock()
        self.scheduler = Scheduler(net, 8, limits=limits, graphs=graphs, clock=clock)
        self.players: dict[str, Player] = {}
        real = Batch.tick

        def tick(batch: Batch, blocks: dict[int, Sound], level: Level = Level.FULL) -> dict[int, Sound]:
            clock.now += clock.costs[level] * (1 if graphs else len(blocks))
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
