"""What the net hears of a mixture: level-free log spectra of mid and side, and where the sound sits between the two."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamsep.condition.bands import BandLinear
from streamsep.config import BINS, SUBFRAMES, TRUNK_BANDS

CHANNELS = 3  # log mid, log side, panorama


def mid_side(x: Tensor, dim: int) -> Tensor:
    """Left/right ↔ mid/side along ``dim`` (orthonormal, its own inverse)."""
    left, right = x.select(dim, 0), x.select(dim, 1)
    return torch.stack([left + right, left - right], dim) * 0.5**0.5


def log_power(power: Tensor, level: Tensor) -> Tensor:
    """``power`` [M, ·, ·, ·] of bins, ``level`` [M] → log of it: 0 is the mean level, ±1 is ±30 dB, floor at -80 dB."""
    return (torch.log10(power / (level * BINS)[:, None, None, None] + 1e-8) + 2.0) / 3.0


def spectral_features(spectrum: Tensor, level: Tensor) -> Tensor:
    """Per-bin features of mid/side columns.

    Args:
        spectrum: [M, 2, 2, 961] complex: mid/side, subframe, bin of one frame each.
        level: [M] running mean square of the mixture's samples.

    Returns:
        [M, 961, 2·3] float: for each subframe log mid, log side (0 is the mean level, ±1 is ±30 dB, floor at -80 dB)
        and panorama in -1 … 1.
    """
    power = spectrum.real.square() + spectrum.imag.square()
    log = log_power(power, level)
    cross = spectrum[:, 0] * spectrum[:, 1].conj()
    panorama = 2.0 * cross.real / (power.sum(1) + 1e-8 * (level * BINS)[:, None, None])
    stacked = torch.stack([log[:, 0], log[:, 1], panorama], -1)  # [M, 2, 961, 3]
    return stacked.permute(0, 2, 1, 3).reshape(spectrum.shape[0], BINS, SUBFRAMES * CHANNELS)


class BandEmbedding(nn.Module):
    """Features of a frame → one token a trunk band."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = BandLinear(SUBFRAMES * CHANNELS, dim)
        self.norm = nn.RMSNorm(dim)
        self.position = nn.Parameter(torch.randn(TRUNK_BANDS, dim) * 0.5)

    def forward(self, features: Tensor, zoomed: Tensor | None = None) -> Tensor:
        """``features`` [M, 961, 6], and ``zoomed`` [M, 30, dim] to be added to their bands → [M, 30, dim]."""
        bands = self.project(features)
        return self.norm(bands if zoomed is None else bands + zoomed) + self.position
