"""How fast messages of one client are read. Knows time; knows no messages."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """``rate`` a second in the long run, two seconds' worth at once; ``wait`` returns when one more is allowed."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left, self._time = 2 * rate, time.monotonic()

    async def wait(self) -> None:
        now = time.monotonic()
        self._left = min(2 * self._rate, self._left + (now - self._time) * self._rate) - 1
        self._time = now
        if self._left < 0:
            await asyncio.sleep(-self._left / self._rate)
