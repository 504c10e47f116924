"""Ideal masks: what the mask renderer could reach if it knew the true stems. Knows spectra in numpy, no model.

Same resolution as the renderer: mid and side of a causal STFT with 1920-sample sqrt-Hann windows and a hop of 960;
column c covers samples [(c-1)·960, (c+1)·960). Ideal ratio mask of power 2: |S_i|² / Σ|S_j|², per bin or summed over
each of the 120 envelope bands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsep.config import HOP, WINDOW, envelope_edges

Sound = NDArray[np.float32]
Spectrum = NDArray[np.complex64]
Power = NDArray[np.float32]

_BLOCKS = 512  # hops worked on at a time: 10 s, which keeps a song of an hour in little memory
_FLOOR = 1e-20  # power, keeps silence from dividing by zero


def window() -> NDArray[np.float32]:
    """[1920] periodic sqrt-Hann window; its square overlaps to one at a hop of 960."""
    return np.sin(np.pi * np.arange(WINDOW) / WINDOW).astype(np.float32)


def mid_side(sound: Sound) -> Sound:
    """[..., 2, n] left/right ↔ mid/side, orthonormal and its own inverse."""
    left, right = sound[..., 0, :], sound[..., 1, :]
    return np.stack([left + right, left - right], axis=-2) * np.float32(0.5**0.5)


def stft(sound: Sound) -> Spectrum:
    """[..., n] with n a multiple of 960 → [..., n / 960 - 1, 961] columns that lie wholly inside ``sound``."""
    blocks = sound.reshape(*sound.shape[:-1], -1, HOP)
    pairs = np.concatenate([blocks[..., :-1, :], blocks[..., 1:, :]], axis=-1)
    return np.fft.rfft(pairs * window(), axis=-1).astype(np.complex64, copy=False)


def istft(columns: Spectrum) -> Sound:
    """[..., columns, 961] → [..., (columns + 1) · 960]: windowed overlap-add. The outer 960 samples lack a partner."""
    waves = np.fft.irfft(columns, WINDOW, axis=-1) * window()
    out = np.zeros((*columns.shape[:-2], columns.shape[-2] + 1, HOP), np.float32)
    out[..., :-1, :] += waves[..., :HOP]
    out[..., 1:, :] += waves[..., HOP:]
    return out.reshape(*out.shape[:-2], -1)


def ratio_masks(power: Power, bands: bool) -> Power:
    """``power`` [stems, ..., 961] of the true stems → masks of the same shape that sum to one over stems."""
    if bands:
        edges = np.asarray(envelope_edges())
        power = np.add.reduceat(power, edges[:-1], axis=-1)
        return np.repeat(_share(power), np.diff(edges), axis=-1)
    return _share(power)


def ideal_stems(stems: Sound, bands: bool = False) -> Sound:
    """True stems [stems, 2, n] left/right → what the ideal ratio mask makes of their sum, the same shape.

    ``bands`` gives the mask the model's resolution of 120 bands instead of 961 bins. The result sums to the mixture.
    """
    samples = stems.shape[-1]
    blocks = -(-samples // HOP)
    out = np.empty_like(stems)
    for start in range(0, blocks, _BLOCKS):
        stop = min(start + _BLOCKS, blocks)
        # One block more on each side, so that every sample kept has both of its columns.
        columns = stft(mid_side(_cut(stems, (start - 1) * HOP, (stop + 1) * HOP)))
        masks = ratio_masks(columns.real**2 + columns.imag**2, bands)
        wave = mid_side(istft(masks * columns.sum(0)))[..., HOP:-HOP]
        end = min(samples, stop * HOP)
        out[..., start * HOP : end] = wave[..., : end - start * HOP]
    return out


def _share(power: Power) -> Power:
    return (power + _FLOOR) / (power + _FLOOR).sum(0)


def _cut(sound: Sound, start: int, stop: int) -> Sound:
    """``sound[..., start:stop]`` with zeros where there is none."""
    inner = sound[..., max(0, start) : max(0, stop)]
    before, after = max(0, -start), stop - max(0, start) - inner.shape[-1]
    return np.pad(inner, [(0, 0)] * (sound.ndim - 1) + [(before, after)])
