"""How loud a recording is, and how like a song that goes round and round in it."""

from __future__ import annotations

import numpy as np
from scipy.signal import correlate


def energy(sound: np.ndarray) -> float:
    return 10 * float(np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12))


def likeness(heard: np.ndarray, sound: np.ndarray, rate: int) -> float:
    """The best normalised correlation of pieces of half a second with a song that goes round and round."""
    around = np.concatenate([sound, sound]).astype(np.float64)
    power = np.concatenate([[0.0], np.cumsum(around**2)])
    found = []
    for start in range(0, len(heard) - rate // 2, rate // 2):
        piece = heard[start : start + rate // 2].astype(np.float64)
        level = np.sqrt((power[len(piece) :] - power[: -len(piece)]) * np.sum(piece**2)) + 1e-9
        found.append(float(np.max(correlate(around, piece, "valid", "fft") / level)))
    return float(np.median(found))
