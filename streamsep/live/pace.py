"""When to hurry: a result was late, so the guide head alone separates for a while. Knows times; knows no model.

late ──► hurried for 2 s; late again soon after ──► 4 s, 8 s … 60 s; a minute without ──► 2 s again
"""

from __future__ import annotations

_FIRST, _LONGEST = 2.0, 60.0  # seconds
_CALM = 60.0  # seconds without a late result after which what was is forgotten


class Pace:
    """``late`` says that a result was; ``hurried`` tells whether to hurry now. Times in seconds of a steady clock."""

    def __init__(self) -> None:
        self._until = self._last = -float("inf")
        self._span = _FIRST

    def late(self, now: float) -> None:
        if now < self._until:  # still hurrying: it takes the first frames to catch up
            return
        calm = now - self._last > self._span + _CALM
        self._span = _FIRST if calm else min(_LONGEST, 2 * self._span)
        self._last, self._until = now, now + self._span

    def hurried(self, now: float) -> bool:
        return now < self._until
