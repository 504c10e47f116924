"""Two sound cards with clocks of their own, simulated: hours pass in minutes. No model: what is dry needs none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamsep.config import FRAME
from streamsep.live.core import Core, Format, ModelOptions
from streamsep.live.gains import Gains

RATE = 48_000
BLOCK = 960
_SETTLED = 120.0  # seconds after which the fill is judged


@dataclass
class Drift:
    """``fill`` in milliseconds off what is wanted, ``cents`` of pitch: largest of each minute; and what went wrong."""

    minutes: list[tuple[float, float, float]]  # smallest and largest fill, largest pitch error
    underruns: int
    jumps: int
    correction_ppm: float


def simulate(ppm: float, minutes: float, jitter: float = 0.002) -> Drift:
    """The output's clock is ``ppm`` fast. ``jitter``: standard deviation of the times of callbacks, seconds."""
    rng = np.random.default_rng(0)
    song = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    blocks = np.repeat(song.reshape(-1, BLOCK, 1), 2, axis=2)
    found: list[tuple[float, float, float]] = []
    with Core(ModelOptions(), Gains("all")) as core:
        core.gains.set_dry_wet(0)
        core.open(Format(block=BLOCK, one_clock=False))
        heard, fills, pitches = 0, [], []
        for index in range(1, round(minutes * 60 * RATE / BLOCK)):
            now = index * BLOCK / RATE / (1 + ppm * 1e-6)
            while (heard + 1) * BLOCK / RATE <= now:
                heard += 1
                core.capture(blocks[heard % len(blocks)], heard * BLOCK / RATE + abs(rng.normal(0, jitter)))
            if heard:
                core.play(BLOCK, now + abs(rng.normal(0, jitter)))
                # What would wait if the input came sample by sample.
                waits = now * RATE - core.mixer.playhead - core.mixer.delay
                fills.append(waits)
                pitches.append(abs((1 + core.correction) * (1 + ppm * 1e-6) - 1))
            if index % (60 * RATE // BLOCK) == 0:
                found.append((min(fills) / 48, max(fills) / 48, 1_200 * float(np.log2(1 + max(pitches)))))
                fills, pitches = [], []
        counts = core.mixer.counts
        return Drift(found, counts.underruns, counts.resyncs - 1, 1e6 * core.correction)


def within_a_frame(drift: Drift) -> bool:
    """The fill's way through the whole time, smallest to largest."""
    low, high = min(row[0] for row in drift.minutes), max(row[1] for row in drift.minutes)
    return high - low <= 1_000 * FRAME / RATE
