"""Whose turn a frame is, and how much is computed for it. Knows names, seconds and levels; knows no sound.

Live streams always have theirs, at the level that ``Deadlines`` gives; the others share what time is left, those that
have waited longest first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from streamsep.engine.costs import Costs, Step
from streamsep.engine.deadlines import Deadlines, Limits
from streamsep.engine.levels import Level

Steps = Callable[[Mapping[str, Level]], Counter[Step]]


class Turns:
    """``steps``: what a tick that computes so much for each of these streams consists of; ``kind``: of a stream that
    shares steps with others of that kind.
    """

    def __init__(self, limits: Limits, steps: Steps, kind: Callable[[str], str]) -> None:
        self._deadlines, self._costs, self._steps, self._kind = Deadlines(limits), Costs(), steps, kind
        self._waited: dict[str, int] = {}  # ticks that a stream which is not live has been passed over

    def forget(self, name: str) -> None:
        self._deadlines.forget(name)
        self._waited.pop(name, None)

    def learn(self, levels: Mapping[str, Level], seconds: float) -> None:
        """So long a tick of these took."""
        self._costs.learn(self._steps(levels), seconds)

    def plan(self, behind: Mapping[str, float], patient: Sequence[str], hurry: bool, now: float) -> dict[str, Level]:
        """Who takes part in this tick, and how much is computed for each.

        ``behind``: seconds, of the live streams that have a frame due; ``patient``: the others that have; ``hurry``:
        whether a live stream plays, due or not.
        """
        levels = self._deadlines.plan(behind, now, self._cost, self._kind)
        waiting = sorted(patient, key=lambda name: -self._waited.get(name, 0))
        count = self._fitting(levels, waiting, self._deadlines.room(behind)) if hurry else len(waiting)
        for index, name in enumerate(waiting):
            if index < count or not levels:
                levels[name] = Level.FULL
                self._waited[name] = 0
            else:
                self._waited[name] = self._waited.get(name, 0) + 1
        return levels

    def _cost(self, levels: Mapping[str, Level]) -> float:
        return self._costs.of(self._steps(levels))

    def _fitting(self, levels: Mapping[str, Level], waiting: list[str], room: float) -> int:
        """How many of ``waiting`` may join those who have their turn."""

        def after(count: int) -> float:
            return self._cost({**levels, **dict.fromkeys(waiting[:count], Level.FULL)})

        return bisect_right(range(1, len(waiting) + 1), room, key=after)
