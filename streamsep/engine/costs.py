"""What steps cost, learned from those that were taken. Knows seconds and sizes; knows no sessions."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from streamsep.engine.levels import Level


@dataclass(frozen=True)
class Step:
    """Steps with all of these the same take equally long. ``rows``: see ``Batch.steps``."""

    render: str
    level: Level
    rows: int


class Costs:
    """Moving averages of the seconds of a step."""

    def __init__(self) -> None:
        self._seconds: dict[Step, float] = {}

    def learn(self, steps: Counter[Step], seconds: float) -> None:
        """So long all of ``steps`` took, one after another."""
        each = seconds / steps.total()
        for step in steps:
            self._seconds[step] = each + 0.8 * (self._seconds.get(step, each) - each)

    def of(self, steps: Counter[Step]) -> float:
        """Seconds that ``steps`` will take."""
        return sum(count * self._of(step) for step, count in steps.items())

    def _of(self, step: Step) -> float:
        """Of a size that has not been seen, those of the nearest; of what has not been seen at all, none."""
        if step in self._seconds:
            return self._seconds[step]
        alike = [known for known in self._seconds if (known.render, known.level) == (step.render, step.level)]
        nearest = min(alike, key=lambda known: abs(math.log(known.rows / step.rows)), default=None)
        return 0.0 if nearest is None else self._seconds[nearest]
