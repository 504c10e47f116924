"""When a stream has heard enough, and what it can then give: counts of samples. Knows rates; knows no sound.

A stream works in ticks of ``unit`` samples at 48 kHz. Tick i runs once ``heard(i + 1)`` input samples are in, whatever
the blocks they came in, so that every number computed is the same for every block size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamsep.audio.resample import ResampleStream
from streamsep.choices import MASK
from streamsep.config import FRAME, HOP, PREDICTIVE_HOP, SAMPLE_RATE


def in_hops(lookahead: int, render: str) -> bool:
    """Whether ticks are hops of 10 ms: of masks that were predicted, for which no sample waits until its frame ends."""
    return lookahead < 0 and render == MASK


@dataclass(frozen=True)
class Clock:
    """``unit``: samples at 48 kHz a tick; ``lag``: how far, in such samples, a tick's output lies behind its end plus
    ``unit``: the first ``lag`` samples lie before the beginning (negative: as many are missing from it).
    """

    rate: int
    unit: int
    lag: int

    @staticmethod
    def make(rate: int, lookahead: int, render: str) -> Clock:
        """Of a stream in hops, or of one that renders a frame at a time, half a window behind."""
        if in_hops(lookahead, render):
            return Clock(rate, PREDICTIVE_HOP, PREDICTIVE_HOP)
        return Clock(rate, FRAME, lookahead * FRAME + HOP)

    def heard(self, ticks: int) -> int:
        """Input samples that ``ticks`` ticks need."""
        samples = ticks * self.unit
        if self.rate == SAMPLE_RATE or not ticks:
            return samples
        reach = ResampleStream(self.rate, SAMPLE_RATE, 1).delay
        return (samples - 1) * self.rate // SAMPLE_RATE + reach + 1

    def latency(self) -> int:
        """Samples at ``rate`` after which a sample's stems are there, however the blocks fall. Exact.

        The worst case of a second, after which the pattern of ticks and resamplers repeats.
        """
        back = ResampleStream(SAMPLE_RATE, self.rate, 1)
        first = 1 + max(0, self.lag) // self.unit + 4 * back.delay // self.unit
        waits = [
            self.heard(tick + 1) - back.ready(tick * self.unit - self.lag)
            for tick in range(first, first + SAMPLE_RATE // self.unit + 1)
        ]
        return int(np.max(waits))
