"""A sound card of the mind, with a real clock: it records from an array and plays what it gets into another.

Knows blocks and time; knows neither engine nor server. Like a real card it hears a block only when the block is over,
and when it has nothing to play, there is a gap, after which everything is a block later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]


@dataclass
class Card:
    """``sound`` [2, n] is what it hears. ``played`` [2, n] is what came out, on the same time axis as ``sound``;
    ``gaps``: in which blocks there was nothing to play after the first sound.
    """

    sound: Sound
    rate: int
    block: int
    played: Sound = field(init=False)
    gaps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.played = np.zeros_like(self.sound)
        self._waiting = np.zeros((2, 0), np.float32)
        self._lock = threading.Lock()

    def play(self, sound: Sound) -> None:
        """Append ``sound`` [2, m] to what waits for the loudspeaker. From any thread."""
        with self._lock:
            self._waiting = np.concatenate([self._waiting, sound], axis=1)

    def run(self, heard: Callable[[Sound], None]) -> None:
        """Hear and play the whole sound at its pace. ``heard`` gets each block when its last sample is over."""
        begin = time.monotonic()
        for index in range(self.sound.shape[1] // self.block - 1):
            start, stop = index * self.block, (index + 1) * self.block
            time.sleep(max(0.0, begin + stop / self.rate - time.monotonic()))
            heard(np.ascontiguousarray(self.sound[:, start:stop]))
            self._next(index, stop)

    def _next(self, index: int, now: int) -> None:
        """What the loudspeaker plays from sample ``now`` on, for a block."""
        with self._lock:
            if self._waiting.shape[1] < self.block:
                if self.played.any():
                    self.gaps.append(index)
                return
            self.played[:, now : now + self.block] = self._waiting[:, : self.block]
            self._waiting = self._waiting[:, self.block :]


@dataclass(frozen=True)
class Delay:
    """``samples`` from sound in to sound out; ``likeness``: correlation of the two at that delay, at most 1."""

    samples: int
    likeness: float


def delay(sound: Sound, played: Sound, most: int) -> Delay:
    """How much later ``played`` [2, m] is than ``sound`` [2, n], 0 to ``most`` samples, by cross-correlation."""
    one, other = (x.astype(np.float64).sum(0) for x in (sound, played))
    size = 1 << int(np.ceil(np.log2(one.size + other.size)))
    both = np.fft.irfft(np.fft.rfft(one, size).conj() * np.fft.rfft(other, size), size)[: most + 1]
    best = int(both.argmax())
    there = other[best : best + one.size]
    power = np.sqrt(np.sum(one[: there.size] ** 2) * np.sum(there**2))
    return Delay(best, float(both[best] / power) if power else 0.0)


def noise(seconds: float, rate: int) -> Sound:
    """[2, samples]: noise that swells and fades at random, so that no two moments are alike."""
    rng, count = np.random.default_rng(0), round(seconds * rate)
    knots = np.arange(0, count + rate, rate // 8)
    swell = np.interp(np.arange(count), knots, rng.uniform(0.02, 0.2, knots.size))
    return (swell * rng.standard_normal((2, count))).astype(np.float32)


@dataclass(frozen=True)
class Report:
    """What was measured, in milliseconds; ``own``: what the model itself waits for; ``gaps`` in the second half, where
    the delay is measured: it has then grown until there are none.
    """

    what: str
    delay_ms: float
    own_ms: float
    block_ms: float
    likeness: float
    gaps: int
    gaps_before: int

    def text(self) -> str:
        """One line."""
        return (
            f"{self.what}: {self.delay_ms:.1f} ms from sound in to sound out (the model's own {self.own_ms:.1f} ms, "
            f"blocks of {self.block_ms:.1f} ms); likeness {self.likeness:.3f}, {self.gaps} gaps "
            f"({self.gaps_before} while the delay was found)"
        )


def report(what: str, card: Card, own: float) -> Report:
    """Measure what ``card`` played in its second half; ``own`` in seconds."""
    half = card.sound.shape[1] // 2
    found = delay(card.sound[:, half:], card.played[:, half:], card.rate)
    late = sum(index * card.block >= half for index in card.gaps)
    return Report(
        what,
        round(1_000 * found.samples / card.rate, 2),
        round(1_000 * own, 2),
        round(1_000 * card.block / card.rate, 2),
        round(found.likeness, 4),
        late,
        len(card.gaps) - late,
    )
