"""Who gives way when time is short, and when it may come back. Knows seconds and levels; knows no sound.

A live stream is *behind* by the time since its next frame was due. A tick has a budget: what is left until the stream
that is furthest behind is so by a limit. If what the streams cost is more, those that are behind go a step down, the
furthest first, until it fits: to LIGHT at the first limit, to DRY at the second; but nobody does where that saves no
time, as where a step costs the same for few streams as for many. A stream that has been on time for a while goes a step
up; each new fall doubles that while, so that a lasting overload is not heard as a flutter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
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


Cost = Callable[[Mapping[str, Level]], float]  # seconds of a tick that computes so much for each of these streams


@dataclass
class _Standing:
    level: Level = Level.FULL
    since: float = 0.0  # on time, at this level, since then
    wait: float = 0.0  # for so long before the next step up; none as long as it has not fallen


class Deadlines:
    """Levels of the streams of one engine, by name."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._standings: dict[str, _Standing] = {}

    def level(self, name: str) -> Level:
        return self._standings[name].level if name in self._standings else Level.FULL

    def forget(self, name: str) -> None:
        self._standings.pop(name, None)

    def plan(
        self, behind: Mapping[str, float], now: float, cost: Cost, kind: Callable[[str], str] = lambda name: ""
    ) -> dict[str, Level]:
        """Seconds behind of the live streams that have a frame due → what is computed for each. ``kind``: streams of
        one kind share steps.
        """
        for name, seconds in behind.items():
            self._rise(self._standings.setdefault(name, _Standing(since=now)), seconds, now)
        levels = {name: self._standings[name].level for name in behind}
        late = [name for name in behind if behind[name] > self.limits.patience]
        late.sort(key=behind.__getitem__, reverse=True)
        for level in (Level.LIGHT, Level.DRY):
            budget = self.limits.limit(level) - max(behind.values(), default=0.0)
            if (before := cost(levels)) <= budget:
                continue
            able = _helping([name for name in late if levels[name] < level], level, levels, before, cost, kind)
            for name in _falling(able, level, levels, budget, cost):
                levels[name] = level
                self._fall(self._standings[name], level, now)
        return levels

    def room(self, behind: Mapping[str, float]) -> float:
        """Seconds that a tick may take, streams that are not live among it."""
        return self.limits.patience - max(behind.values(), default=0.0)

    def _rise(self, standing: _Standing, behind: float, now: float) -> None:
        if behind > self.limits.patience:
            standing.since = now
        elif now - standing.since >= self.limits.calmest and standing.level == Level.FULL:
            standing.wait = 0.0
        elif now - standing.since >= standing.wait and standing.level > Level.FULL:
            standing.level, standing.since = Level(standing.level - 1), now

    def _fall(self, standing: _Standing, level: Level, now: float) -> None:
        if standing.level == Level.FULL:
            standing.wait = min(max(self.limits.calm, 2 * standing.wait), self.limits.calmest)
        standing.level, standing.since = level, now


def _helping(
    late: Sequence[str],
    level: Level,
    levels: Mapping[str, Level],
    before: float,
    cost: Cost,
    kind: Callable[[str], str],
) -> list[str]:
    """Those of ``late`` whose kind costs less when all of them fall: a step for them alone may cost what it saves."""
    kinds: dict[str, list[str]] = {}
    for name in late:
        kinds.setdefault(kind(name), []).append(name)
    good = {each for each, names in kinds.items() if cost({**levels, **dict.fromkeys(names, level)}) < before}
    return [name for name in late if kind(name) in good]


def _falling(
    late: Sequence[str], level: Level, levels: Mapping[str, Level], budget: float, cost: Cost
) -> Sequence[str]:
    """As many of ``late``, from the first on, as must be given ``level`` to keep the budget; all when that is not
    enough.
    """

    def after(count: int) -> float:
        return cost({**levels, **dict.fromkeys(late[:count], level)})

    if after(len(late)) > budget:
        return late
    return late[: bisect_left(range(len(late)), True, key=lambda count: after(count) <= budget)]
