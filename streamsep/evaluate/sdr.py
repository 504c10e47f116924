"""Ratios over whole songs and plain ratios over windows. Knows arrays; knows nothing of stems' names or files."""

from __future__ import annotations

import numpy as np

from streamsep.evaluate.metrics import LIMIT_DB, Sound, Values, si_sdr

UTTERANCE_DELTA = 1e-7  # energy, as in the scoring code of the challenges


def utterance_sdr(estimate: Sound, reference: Sound) -> float:
    """The SDR of the MDX 2021 and SDX 2023 challenges over a whole song, in dB; [channels, n] twice.

    10·log10((Σ s² + δ) / (Σ (s - ŝ)² + δ)) with δ = 1e-7 over all samples of both channels (Mitsufuji et al. 2022).
    """
    true = reference.astype(np.float64)
    error = true - estimate
    return float(10 * np.log10((np.sum(true**2) + UTTERANCE_DELTA) / (np.sum(error**2) + UTTERANCE_DELTA)))


def song_si_sdr(estimate: Sound, reference: Sound) -> float:
    """SI-SDR over a whole song, both channels joined, clamped to ±60 dB; NaN for a silent reference."""
    return float(si_sdr(_flat(estimate), _flat(reference))[0])


def window_sdr(estimate: Values, reference: Values) -> Values:
    """10·log10(Σ s² / Σ (s - ŝ)²) of each window, clamped to ±60 dB: [windows, n] twice → [windows].

    A silent reference is NaN.
    """
    target = np.einsum("wn,wn->w", reference, reference)
    error = np.einsum("wn,wn->w", reference - estimate, reference - estimate)
    best = 10 ** (LIMIT_DB / 10)
    ratio = np.divide(target, error, out=np.full_like(target, best), where=error > 0)
    return np.where(target > 0, 10 * np.log10(np.clip(ratio, 1 / best, best)), np.nan)


def _flat(sound: Sound) -> Values:
    return sound.reshape(1, -1).astype(np.float64)
