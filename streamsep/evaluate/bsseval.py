"""BSS Eval version 4: SDR, ISR, SIR and SAR of stem images. Knows arrays; knows nothing of stems' names or files.

An estimate is projected onto what filters of 512 taps can make of its own true stem, and of all true stems
(Vincent et al. 2006; Stöter, Liutkus, Ito, "The 2018 Signal Separation Evaluation Campaign"). The filters belong to the
whole song, the ratios to windows of one second, as in museval, with which this agrees. What depends on the true stems
alone is computed once for any number of estimates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.linalg import lu_factor, lu_solve, toeplitz

from streamsep.config import SAMPLE_RATE
from streamsep.evaluate.metrics import Sound, Values

RATIOS: tuple[str, ...] = ("sdr", "isr", "sir", "sar")
TAPS = 512


class BssEval:
    """True stems [S, C, n], each of them with some sound; scores estimates of the same shape.

    Raises ValueError when a true stem is silent throughout: nothing can be projected onto it.
    """

    def __init__(self, references: Sound, window: int = SAMPLE_RATE, taps: int = TAPS) -> None:
        if not np.all(np.any(references, axis=(1, 2))):
            raise ValueError("a true stem is silent throughout; leave it out")
        self._references = references.astype(np.float64)
        self._taps = taps
        self._stems, self._channels, self._samples = references.shape
        self._windows = _windows(self._samples, window)
        self._fft = _fast(self._samples + taps - 1)
        self._spectra = _rfft(self._references, self._fft)
        gram = self._gram()
        self._all = _factors(gram)
        size = self._channels * taps
        self._own = [
            _factors(gram[stem * size : (stem + 1) * size, stem * size : (stem + 1) * size])
            for stem in range(self._stems)
        ]

    def __call__(self, estimates: Sound) -> Values:
        """``estimates`` [S, C, n] → [4, S, windows] in dB, in the order of ``RATIOS``.

        A window in which a true or an estimated stem is silent is NaN for all stems, as museval has it.
        """
        if estimates.shape != self._references.shape:
            raise ValueError(f"estimates of shape {estimates.shape} for references of shape {self._references.shape}")
        found = estimates.astype(np.float64)
        own, every = self._filters(found)
        size = max(stop - start for start, stop in self._windows) + self._taps - 1
        fft = _fast(size)
        own_spectra, all_spectra = _rfft(own, fft), _rfft(every, fft)
        ratios = np.full((len(RATIOS), self._stems, len(self._windows)), np.nan)
        for index, (start, stop) in enumerate(self._windows):
            true, made = self._references[..., start:stop], found[..., start:stop]
            if not np.all(np.any(true.sum(1), axis=-1)) or not np.all(np.any(made.sum(1), axis=-1)):
                continue
            length = stop - start + self._taps - 1
            spectra = _rfft(true, fft)
            filtered = _irfft(np.einsum("sdf,sdcf->scf", spectra, own_spectra), fft)[..., :length]
            mixed = _irfft(np.einsum("jdf,sjdcf->scf", spectra, all_spectra), fft)[..., :length]
            ratios[:, :, index] = _ratios(true, made, filtered, mixed)
        return ratios

    def _gram(self) -> NDArray[np.float64]:
        """Inner products of all delayed true channels: [S·C·taps, S·C·taps]."""
        flat = self._spectra.reshape(-1, self._spectra.shape[-1])
        size = self._taps
        gram = np.empty((len(flat) * size, len(flat) * size))
        for row, first in enumerate(flat):
            for column in range(row + 1):
                lags = _irfft(flat[column] * first.conj(), self._fft)
                block = toeplitz(np.r_[lags[0], lags[:-size:-1]], lags[:size])
                gram[column * size : (column + 1) * size, row * size : (row + 1) * size] = block
                gram[row * size : (row + 1) * size, column * size : (column + 1) * size] = block.T
        return gram

    def _filters(self, found: Values) -> tuple[Values, Values]:
        """[S, C, C, taps] filters from each true stem to its estimate; [S, S, C, C, taps] from all of them.

        Axes: estimate, (true stem,) true channel, estimated channel, taps.
        """
        stems, channels, taps = self._stems, self._channels, self._taps
        spectra = _rfft(found, self._fft)
        cross = np.empty((stems, stems, channels, taps, channels))
        for stem in range(stems):
            for channel in range(channels):
                lags = _irfft(self._spectra * spectra[stem, channel].conj(), self._fft)
                cross[stem, ..., channel] = np.concatenate([lags[..., :1], lags[..., :-taps:-1]], -1)
        wanted = cross.reshape(stems, -1, channels)
        every = lu_solve(self._all, np.concatenate(list(wanted), 1)).reshape(stems, channels, taps, stems, channels)
        own = [
            lu_solve(self._own[stem], cross[stem, stem].reshape(-1, channels)).reshape(channels, taps, channels)
            for stem in range(stems)
        ]
        return np.moveaxis(np.stack(own), 2, 3), np.moveaxis(every, (3, 4, 2), (0, 3, 4))


def _fast(size: int) -> int:
    length: Any = scipy.fft.next_fast_len(size, real=True)
    return int(length)


def _rfft(x: Values, size: int) -> NDArray[np.complex128]:
    return np.asarray(scipy.fft.rfft(x, size))


def _irfft(x: NDArray[np.complex128], size: int) -> Values:
    return np.asarray(scipy.fft.irfft(x, size))


def _factors(gram: NDArray[np.float64]) -> Any:
    return lu_factor(gram + np.finfo(float).eps * np.eye(len(gram)), overwrite_a=True, check_finite=False)


def _windows(samples: int, window: int) -> list[tuple[int, int]]:
    """Whole windows; all of it when it is shorter than one."""
    if samples <= window:
        return [(0, samples)]
    return [(start, start + window) for start in range(0, samples - window + 1, window)]


def _ratios(true: Values, made: Values, filtered: Values, mixed: Values) -> Values:
    """[S, C, n] true and estimated, [S, C, n + taps - 1] projections → [4, S]."""
    rest = ((0, 0), (0, 0), (0, filtered.shape[-1] - true.shape[-1]))
    true, made = np.pad(true, rest), np.pad(made, rest)
    target = _energy(true)
    return np.stack(
        [
            _db(target, _energy(made - true)),
            _db(target, _energy(filtered - true)),
            _db(_energy(filtered), _energy(mixed - filtered)),
            _db(_energy(mixed), _energy(made - mixed)),
        ]
    )


def _energy(x: Values) -> Values:
    return np.einsum("scn,scn->s", x, x)


def _db(above: Values, below: Values) -> Values:
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.divide(above, below, out=np.full_like(above, np.inf), where=below > 0))
