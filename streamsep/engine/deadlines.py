"""Who gives way when time is short, and when it may come back. Knows seconds and levels; knows no sound.

A live stream is *behind* by the time since its next frame was due. A tick has a budget: what is left until the stream
that is furthest behind is so by a limit. If what the streams cost is more, those that are behind go a step down, the
furthest first, until it fits: to LIGHT at the first limit, to DRY at the second. A stream that has been on time for a
while goes a step up; each new fall doubles that while, so that a lasting overload is not heard as a flutter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamsep.engine.levels import Level


@dataclass(frozen=True)
class Limits:
    """All in seconds. ``patience``: how far behind still counts as on time, and what streams that are not live may take
    of it; ``light`` and ``dry``: how far behind a stream may be at most before it is given less; ``calm``: on time for
    so long before it is given more, at first, and ``calmest`` at last.
    """

    patience: float = 0.08
    light: float = 0.2
    dry: float = 0.5
    calm: float = 1.0
    calmest: float = 16.0

    def limit(self, level: Level) -> float:
        return self.light if level == Level.LIGHT else self.dry


@dataclass
class _Standing:
    level: Level = Level.FULL
    since: float = 0.0  # on time, at this level, since then
    wait: float = 0.0  # for so long before the next step up


class Deadlines:
    """Levels of the streams of one engine, by name."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._standings: dict[str, _Standing] = {}
        self._costs: dict[Level, float] = {}  # seconds of a stream in a tick, a moving average

    def level(self, name: str) -> Level:
        return self._standings[name].level if name in self._standings else Level.FULL

    def forget(self, name: str) -> None:
        self._standings.pop(name, None)

    def learn(self, level: Level, streams: int, seconds: float) -> None:
        """So long a step of so many streams took."""
        each = seconds / streams
        self._costs[level] = each + 0.8 * (self._costs.get(level, each) - each)

    def cost(self, levels: Iterable[Level]) -> float:
        """Seconds that a tick will take; what has not been seen yet costs nothing."""
        return sum(self._costs.get(level, 0.0) for level in levels)

    def plan(self, behind: Mapping[str, float], now: float) -> dict[str, Level]:
        """Seconds behind of the live streams that have a frame due → what is computed for each."""
        for name, seconds in behind.items():
            self._rise(self._standings.setdefault(name, _Standing(since=now, wait=self.limits.calm)), seconds, now)
        levels = {name: self._standings[name].level for name in behind}
        late = sorted((name for name in behind if behind[name] > self.limits.patience), key=behind.__getitem__)
        for level in (Level.LIGHT, Level.DRY):
            budget = self.limits.limit(level) - max(behind.values(), default=0.0)
            for name in reversed(late):
                if levels[name] < level and self.cost(levels.values()) > budget:
                    levels[name] = level
                    self._fall(self._standings[name], level, now)
        return levels

    def spare(self, behind: Mapping[str, float], levels: Iterable[Level]) -> float:
        """Seconds that this tick has for streams that are not live."""
        return self.limits.patience - max(behind.values(), default=0.0) - self.cost(levels)

    def _rise(self, standing: _Standing, behind: float, now: float) -> None:
        if behind > self.limits.patience:
            standing.since = now
        elif now - standing.since >= self.limits.calmest and standing.level == Level.FULL:
            standing.wait = self.limits.calm
        elif now - standing.since >= standing.wait and standing.level > Level.FULL:
            standing.level, standing.since = Level(standing.level - 1), now

    def _fall(self, standing: _Standing, level: Level, now: float) -> None:
        if standing.level == Level.FULL:
            standing.wait = min(2 * standing.wait, self.limits.calmest)
        standing.level, standing.since = level, now
