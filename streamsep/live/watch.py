"""Notices that the machine does not keep up, says so, and gives the model more time. Knows counts; knows no sound."""

from __future__ import annotations

import time

from streamsep.config import SAMPLE_RATE
from streamsep.live.core import Core

_SPAN = 5.0  # seconds that are judged together
_BEARABLE = 0.01  # part of them that the mixture may fill
_STEP, _MOST = 20.0, 80.0  # milliseconds of margin: added at a time, added in all
_AGAIN = 60.0  # seconds before the same is said again


class Watch:
    """``check`` now and then. Raises ``core.margin`` by steps of 20 ms while gaps are frequent, 80 ms at most.

    A late frame also makes the model hurry for a while (``streamsep.live.pace``); that, and its end, is told here.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._at = time.monotonic()
        self._filled, self._hurried = self._counts()
        self._first = core.margin
        self._said = -_AGAIN
        self._restarts = core.supervisor.restarts
        self._excused = False  # the model was away in this span
        self._hurrying = False

    def check(self, now: float | None = None) -> str | None:
        """One line when something was done or should be. ``now``: of ``time.monotonic``."""
        now = time.monotonic() if now is None else now
        supervisor = self._core.supervisor
        self._excused = self._excused or not supervisor.ready or supervisor.restarts != self._restarts
        self._restarts = supervisor.restarts
        if now - self._at < _SPAN:
            return None
        filled, hurried = self._counts()
        part, passed = (filled - self._filled) / ((now - self._at) * SAMPLE_RATE), now - self._at
        hurrying, excused = hurried > self._hurried, self._excused
        self._at, self._filled, self._hurried, self._excused = now, filled, hurried, False
        lines = [self._hurry(hurrying)]
        if part > _BEARABLE and not excused:
            lines.insert(0, self._late(part, passed, now))
        return " ".join(line for line in lines if line) or None

    def _counts(self) -> tuple[int, int]:
        return self._core.mixer.counts.fallback_samples, self._core.status.get("hurried")

    def _late(self, part: float, passed: float, now: float) -> str | None:
        if self._core.margin < self._first + _MOST:
            self._core.margin += _STEP
            self._core.mixer.resync(self._core.wanted_delay(self._core.format))
            return (
                f"the model was late for {part:.0%} of the last {passed:.0f} s, which the mixture filled; it now has "
                f"{self._core.margin:.0f} ms a frame, and the sound comes {_STEP:.0f} ms later."
            )
        if now - self._said < _AGAIN:
            return None
        self._said = now
        return (
            f"this machine does not keep up: {part:.0%} of the last {passed:.0f} s were not separated; what helps: a "
            "smaller model, --decode guide, a larger --block, or less work beside it."
        )

    def _hurry(self, hurrying: bool) -> str | None:
        before, self._hurrying = self._hurrying, hurrying
        if hurrying == before:
            return None
        if hurrying:
            return "The machine is busy: for a while the guide head alone separates, several times as fast."
        return "The whole model separates again."
