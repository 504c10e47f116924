"""Two sound cards never agree about a second. Their clocks measured, and a speed that keeps the buffer as it was.

``ClockFilter`` turns the jumpy counts of callbacks into a steady position [1]; ``Servo`` turns the distance between two
positions into a correction of the playing speed, slow and below one cent. Knows counts and seconds; knows no sound.

[1] Adriaensen: Using a DLL to filter time, Linux Audio Conference 2005.
"""

from __future__ import annotations

import math

from streamsep.config import SAMPLE_RATE

_WIDE, _NARROW = 1.0, 0.05  # Hz: bandwidth at the start, and when settled
_LOST = 0.5  # seconds of error after which the count has jumped and is followed at once
MAX_CORRECTION = 500e-6  # 0.87 cents
_PROPORTIONAL = 1e-6  # correction per sample of distance
_INTEGRAL = _PROPORTIONAL**2 * SAMPLE_RATE / 4  # per sample and second: critically damped
_WAKE = 192.0  # samples of steady distance, 4 ms, that prove two clocks
_STEADY = 20.0  # seconds over which that is averaged: a sound server's callbacks wander by as much within seconds
_ALARM = 960.0  # samples of distance that are too many, proof or not
_SLOW = 2.0  # seconds over which the distance is averaged
_LISTEN = 15.0  # seconds until the distance is the one to keep: sound servers take their time to settle


class ClockFilter:
    """``update`` with the time and the count of every callback; ``at`` any time, give the count."""

    def __init__(self, rate: float = SAMPLE_RATE) -> None:
        self._nominal = rate
        self._began: float | None = None
        self._time = self._position = 0.0
        self._rate = rate

    def update(self, now: float, position: float) -> None:
        """``now``: seconds, not falling; ``position``: samples counted then."""
        error = position - self.at(now)
        if self._began is None or abs(error) > _LOST * self._nominal:
            self._began, self._time, self._position, self._rate = now, now, position, self._nominal
            return
        passed = now - self._time
        if passed <= 0:
            return
        bandwidth = max(_NARROW, _WIDE / (1 + (now - self._began)))
        omega = min(0.5, 2 * math.pi * bandwidth * passed)
        self._position = self.at(now) + math.sqrt(2) * omega * error
        self._rate += omega * omega * error / passed
        self._time = now

    def at(self, now: float) -> float:
        return self._position + self._rate * (now - self._time)


class Servo:
    """``update`` with the distance to where the playhead should be; the result is how much faster to play.

    Positive when ``distance`` (samples, positive: too much is waiting) must shrink; |result| ≤ 500 ppm. The distance
    after the first seconds is kept from then on, not corrected: while two devices share one clock, the result is
    exactly 0, and their sound passes through untouched.
    """

    def __init__(self) -> None:
        self.correction = 0.0
        self.distance = 0.0  # averaged, from the one that is kept
        self._integral = 0.0
        self._awake = False
        self.restart()

    def restart(self) -> None:
        """After a jump of the playhead. What was learnt of the clocks stays."""
        self._began: float | None = None
        self._time = self._kept = self._steady = self.distance = 0.0

    def update(self, now: float, distance: float) -> float:
        if self._began is None:
            self._began = self._time = now
        passed, self._time = min(1.0, max(0.0, now - self._time)), now
        error = distance - self._kept
        self.distance += (error - self.distance) * -math.expm1(-passed / _SLOW)
        if now - self._began < _LISTEN:
            return self.correction
        if self._kept == 0:
            self._kept, self.distance, error = self.distance, 0.0, 0.0
        self._steady += (error - self._steady) * -math.expm1(-passed / _STEADY)
        self._awake = self._awake or abs(self._steady) > _WAKE or abs(self.distance) > _ALARM
        if self._awake:
            wanted = _PROPORTIONAL * self.distance + self._integral
            self.correction = max(-MAX_CORRECTION, min(MAX_CORRECTION, wanted))
            if self.correction == wanted:  # no wind-up at the limits
                self._integral += _INTEGRAL * self.distance * passed
        return self.correction
