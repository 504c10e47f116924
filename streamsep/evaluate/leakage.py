"""What of one stem sounds in another: leakage matrix, correlation, and what the stems leave of the mixture.

Knows arrays; knows nothing of stems' names. All of it is over whole songs.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streamsep.config import HOP, SAMPLE_RATE
from streamsep.evaluate.masks import stft
from streamsep.evaluate.metrics import Sound, Values
from streamsep.evaluate.spectral import BAND_EDGES_HZ

FLOOR_DB = -120.0
_PIECE = 10  # seconds worked on at a time, which keeps a long song in little memory
_RIDGE = 1e-9  # of the true stems' mean energy: keeps silent stems from breaking the solution

Block = NDArray[np.complex128]


def leakage(estimates: Sound, references: Sound) -> Values:
    """How much of each estimate is explained by each true stem: [S, 2, n] twice → [S estimates, S true stems] in dB.

    In every second and each of seven bands, an estimate is written as Σ_j a_j · (true stem j) plus a rest, with complex
    gains a_j by least squares over both channels and all bins. The energy of a_j · (true stem j), summed over the song
    and put in relation to the energy of the estimate, is the leakage from j. At least -120; NaN for a silent estimate.
    """
    stems = len(references)
    explained, total = np.zeros((stems, stems)), np.zeros(stems)
    size = _PIECE * SAMPLE_RATE
    for start in range(0, references.shape[-1], size):
        made_bands = _bands(estimates[..., start : start + size])
        for made, true in zip(made_bands, _bands(references[..., start : start + size]), strict=True):
            gram = true.conj() @ true.swapaxes(1, 2)
            energy = np.einsum("bjj->bj", gram).real
            ridge = _RIDGE * energy.mean(1) + 1e-20
            gains = np.linalg.solve(gram + ridge[:, None, None] * np.eye(stems), true.conj() @ made.swapaxes(1, 2))
            explained += np.einsum("bji,bj->ij", np.abs(gains) ** 2, energy)
            total += np.sum(made.real**2 + made.imag**2, axis=(0, 2))
    share = np.divide(explained, total[:, None], out=np.full_like(explained, np.nan), where=total[:, None] > 0)
    return 10 * np.log10(np.maximum(share, 10 ** (FLOOR_DB / 10)))


def correlation(stems: Sound) -> Values:
    """Correlation coefficients of [S, channels, n] at lag zero, both channels joined: [S, S], NaN for silence."""
    flat = stems.reshape(len(stems), -1).astype(np.float64)
    inner = flat @ flat.T
    size = np.sqrt(np.diag(inner))
    product = np.outer(size, size)
    return np.divide(inner, product, out=np.full_like(inner, np.nan), where=product > 0)


def residual_db(mixture: Sound, stems: Sound) -> float:
    """Energy of the mixture minus the sum of stems [S, channels, n], relative to the mixture, in dB, at least -120."""
    whole = mixture.astype(np.float64)
    rest = whole - stems.sum(0, dtype=np.float64)
    return float(10 * np.log10(max(np.sum(rest**2) / max(float(np.sum(whole**2)), 1e-20), 10 ** (FLOOR_DB / 10))))


def _bands(stems: Sound) -> list[Block]:
    """[S, 2, n] → for each band [seconds, S, 2 · columns · bins]; zeros fill the last second."""
    seconds = -(-stems.shape[-1] // SAMPLE_RATE)
    padded = np.pad(stems, [(0, 0), (0, 0), (0, seconds * SAMPLE_RATE - stems.shape[-1])])
    columns = stft(padded.reshape(*stems.shape[:2], seconds, SAMPLE_RATE)).transpose(2, 0, 1, 3, 4)
    edges = [edge * 2 * HOP // SAMPLE_RATE for edge in BAND_EDGES_HZ[:-1]] + [columns.shape[-1]]
    return [
        columns[..., low:high].reshape(seconds, len(stems), -1).astype(np.complex128) for low, high in pairwise(edges)
    ]
