"""Distances between spectra: log-spectral distance and phase deviation. Knows arrays only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.evaluate.metrics import Sound, Values

WINDOW, HOP = 2_048, 512
DEEPEST_DB = 80.0  # below the loudest bin of the reference, nothing is compared
BAND_EDGES_HZ: tuple[int, ...] = (0, 250, 500, 1_000, 2_000, 4_000, 8_000, 24_000)
BAND_NAMES: tuple[str, ...] = tuple(
    f"{low}-{high} Hz" for low, high in zip(BAND_EDGES_HZ[:-1], BAND_EDGES_HZ[1:], strict=True)
)

Spectra = NDArray[np.complex128]


def stft(sound: Sound, size: int = WINDOW, hop: int = HOP) -> Spectra:
    """[..., n] → [..., frames, bins]: Hann windows that lie wholly inside; a shorter sound is one window."""
    size = min(size, sound.shape[-1])
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), size, axis=-1)[..., ::hop, :]
    return np.fft.rfft(frames * np.hanning(size))


def log_spectral_distance(estimate: Sound, reference: Sound) -> float:
    """Root mean square over bins of the difference of log power spectra in dB, mean over time and channels.

    Both are floored 80 dB below the reference's loudest bin. [channels, samples] twice.
    """
    return spectral_distance(stft(estimate), stft(reference))


def spectral_distance(estimate: Spectra, reference: Spectra) -> float:
    """:func:`log_spectral_distance` of spectra [..., frames, bins]."""
    wanted, made = _power(reference), _power(estimate)
    floor = max(float(wanted.max()) * 10 ** (-DEEPEST_DB / 10), 1e-20)
    gap = 10 * np.log10(np.maximum(made, floor) / np.maximum(wanted, floor))
    return float(np.sqrt((gap**2).mean(-1)).mean())


def phase_sums(estimate: Spectra, reference: Spectra, rate: int = SAMPLE_RATE) -> tuple[Values, Values]:
    """Numerator and denominator of :func:`phase_deviation` a band, so that they can be summed over a song: [7] each."""
    weight = _power(reference)
    turned = estimate * reference.conj()
    angle = np.where(turned != 0, np.abs(np.angle(turned)), np.pi / 2)  # no phase at all is no better than chance
    bins = reference.shape[-1]
    edges = np.round(np.asarray(BAND_EDGES_HZ) * 2 * (bins - 1) / rate).astype(int).clip(0, bins)
    sums: list[tuple[float, float]] = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        part = weight[..., low:high]
        sums.append((float(np.sum(part * angle[..., low:high])), float(part.sum())))
    above, below = np.array(sums).T
    return np.degrees(above), below


def phase_deviation(estimate: Sound, reference: Sound, rate: int = SAMPLE_RATE) -> Values:
    """Mean absolute difference of phase in degrees, weighted by the true power, in each of ``BAND_NAMES``.

    0 is perfect, 90 is chance, 180 is the inverse; NaN in a band in which the reference has nothing.
    [channels, samples] twice → [7].
    """
    above, below = phase_sums(stft(estimate), stft(reference), rate)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _power(spectra: Spectra) -> NDArray[np.float64]:
    return spectra.real**2 + spectra.imag**2
