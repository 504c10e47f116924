"""How much of a sound is left after coding, told second by second while it runs. Knows arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.evaluate.metrics import ACTIVE_DBFS, level_db, median, si_sdr, windows
from streamsep.evaluate.spectral import log_spectral_distance

Sound = NDArray[np.float32]


class RunningScores:
    """Takes the sound and its reconstruction in blocks of equal length; keeps one second of both."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate = rate
        self._reference = np.zeros((channels, 0), np.float32)
        self._estimate = self._reference
        self._sdr: list[float] = []
        self._distance: list[float] = []
        self._samples = 0

    def add(self, reference: Sound, estimate: Sound) -> None:
        """[channels, n] twice."""
        self._samples += reference.shape[1]
        self._reference = np.concatenate([self._reference, reference], 1)
        self._estimate = np.concatenate([self._estimate, estimate], 1)
        while self._reference.shape[1] >= self.rate:
            self._window(self._reference[:, : self.rate], self._estimate[:, : self.rate])
            self._reference, self._estimate = self._reference[:, self.rate :], self._estimate[:, self.rate :]

    def _window(self, reference: Sound, estimate: Sound) -> None:
        cut = windows(reference, reference.shape[1])
        if level_db(cut)[0] > ACTIVE_DBFS:
            self._sdr.append(float(si_sdr(windows(estimate, estimate.shape[1]), cut)[0]))
            self._distance.append(log_spectral_distance(estimate, reference))

    def result(self) -> dict[str, Any]:
        """Medians over the seconds that are louder than -50 dBFS; None when none is. A short sound is one second."""
        if self._samples < self.rate and self._samples:
            self._window(self._reference, self._estimate)
            self._reference, self._estimate = self._reference[:, :0], self._estimate[:, :0]
        return {
            "si_sdr_db": _median(self._sdr),
            "log_spectral_distance_db": _median(self._distance),
            "seconds_scored": len(self._sdr),
        }


def _median(values: list[float]) -> float | None:
    found = median(np.array(values, np.float64))
    return None if found is None else round(found, 3)
