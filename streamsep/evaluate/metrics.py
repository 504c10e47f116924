"""Measures of separation over one-second windows. Knows arrays; knows nothing of files, models or stems' names.

All sums are float64. Decibels are clamped to ±60: an error or a leak below that is no longer heard, and a window in
which a stem plays alone (where the mixture itself is perfect) must not outweigh all others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE

Sound = NDArray[np.float32]
Values = NDArray[np.float64]

WINDOW = SAMPLE_RATE  # samples of a window: one second
LIMIT_DB = 60.0  # SI-SDR is clamped to ± this
ACTIVE_DBFS = -50.0  # an active stem's RMS is above this in a window ...
ACTIVE_BELOW_MIXTURE_DB = 30.0  # ... and above the mixture's minus this
ABSENT_DBFS = -70.0  # a stem that never gets above this is not in the song
_SILENCE = 1e-20  # mean square of nothing, -200 dB


def windows(sound: Sound, size: int = WINDOW) -> Values:
    """Cut ``sound`` [channels, n] into [windows, channels · size] float64, channels one after the other.

    What does not fill the last window is left out; a sound shorter than one window becomes one short window.
    """
    channels, samples = sound.shape
    size = min(size, samples) or 1
    count = samples // size
    cut = sound[:, : count * size].astype(np.float64)
    return cut.reshape(channels, count, size).transpose(1, 0, 2).reshape(count, channels * size)


def level_db(cut: Values) -> Values:
    """RMS of each window in dB relative to full scale: [windows, n] → [windows], at least -200."""
    if cut.shape[1] == 0:
        return np.full(cut.shape[0], 10 * np.log10(_SILENCE))
    return 10 * np.log10(np.maximum(np.mean(cut * cut, axis=1), _SILENCE))


def active(stem_db: Values, mixture_db: Values) -> NDArray[np.bool_]:
    """Where a stem is active: above -50 dBFS and above the mixture's level minus 30 dB. [windows] each."""
    return (stem_db > ACTIVE_DBFS) & (stem_db > mixture_db - ACTIVE_BELOW_MIXTURE_DB)


def si_sdr(estimate: Values, reference: Values) -> Values:
    """Scale-invariant signal-to-distortion ratio of each window, in dB: [windows, n] twice → [windows].

    With α = <e, r> / <r, r> it is 10·log10(|αr|² / |αr - e|²) (Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or
    well done?", ICASSP 2019), clamped to ±60. A silent estimate scores -60; a silent reference is NaN.
    """
    power = np.einsum("wn,wn->w", reference, reference)
    overlap = np.einsum("wn,wn->w", estimate, reference)
    scale = np.divide(overlap, power, out=np.zeros_like(power), where=power > 0)
    error = scale[:, None] * reference - estimate
    target, noise = scale * overlap, np.einsum("wn,wn->w", error, error)
    best = 10 ** (LIMIT_DB / 10)
    worst = 1 / best
    ratio = np.divide(target, noise, out=np.where(target > 0, best, worst), where=noise > 0)
    value = 10 * np.log10(np.clip(ratio, worst, best))
    return np.where(power > 0, value, np.nan)


def median(values: Values) -> float | None:
    """The median of what is a number; None when nothing is (JSON has no NaN)."""
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if kept.size else None
