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
    """``check`` now and then. Raises ``core.margin`` by steps of 20 ms while gaps are frequent, 80 ms at most."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._at = time.monotonic()
        self._filled = core.mixer.counts.fallback_samples
        self._first = core.margin
        self._said = 0.0
        self._excused = False  # the model was away in this span

    def check(self, now: float | None = None) -> str | None:
        """One line when something was done or should be. ``now``: of ``time.monotonic``."""
        now = time.monotonic() if now is None else now
        self._excused = self._excused or not self._core.supervisor.ready
        if now - self._at < _SPAN:
            return None
        filled, passed = self._core.mixer.counts.fallback_samples, now - self._at
        part = (filled - self._filled) / (passed * SAMPLE_RATE)
        self._at, self._filled = now, filled
        excused, self._excused = self._excused, False
        if part <= _BEARABLE or excused:
            return None
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
