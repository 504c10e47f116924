"""Separation losses on band statistics: exact energies of the error of a banded mask, without touching bins again.

With one real mask M on all bins of a band, |M·X - S|² summed over the band is M²·ΣX² - 2M·ΣRe(X·S*) + ΣS². The three
sums do not depend on the net, so the loss costs 120 bands, not 961 bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kernels.registry import resolve
from streamsep.config import SUBFRAMES, envelope_edges
from streamsep.lm.lookahead import targets
from streamsep.train.batches import Spectra

SNR_WINDOW = 25  # frames: one second
SHARE = 5.0  # weight of the share loss, where a recipe has none


@dataclass(frozen=True)
class BandStatistics:
    """Energies: ``mix`` [B, T, 1, 2, 2, 120] of the mixture, ``cross`` [B, T, S, 2, 2, 120] of what a stem shares with
    it, ``stem`` (the same shape) of the stems."""

    mix: Tensor
    cross: Tensor
    stem: Tensor

    def aligned(self, lookahead: Tensor) -> tuple[BandStatistics, Tensor]:
        """By the step that speaks of the frame, and [B, T] where there is one; ``lookahead`` [B] is an index."""
        (mix, valid), (cross, _), (stem, _) = (targets(x, lookahead) for x in (self.mix, self.cross, self.stem))
        return BandStatistics(mix, cross, stem), valid

    def at(self, where: Any) -> BandStatistics:
        """The rows or frames that an index picks."""
        return BandStatistics(self.mix[where], self.cross[where], self.stem[where])


@torch.no_grad()
def band_statistics(found: Spectra) -> BandStatistics:
    """Energies of what ``spectra`` found."""
    columns = found.columns
    batch, stems = columns.shape[:2]
    sums = resolve("band_energies", columns.device.type).function
    mix, cross, stem = sums(columns.flatten(2, 3), torch.tensor(envelope_edges(), device=columns.device))
    frames = (-1, 2, columns.shape[3] // SUBFRAMES, SUBFRAMES, mix.shape[-1])  # stem, side, frame, subframe, band
    mix, cross, stem = (x.view(batch, *frames).permute(0, 3, 1, 2, 4, 5) for x in (mix, cross, stem))
    return BandStatistics(mix, cross, stem)


def error_energy(masks: Tensor, stats: BandStatistics) -> Tensor:
    """Energy of the error per band, the shape of ``masks`` [B, T, S, 2, 2, 120]."""
    return (masks.square() * stats.mix - 2 * masks * stats.cross + stats.stem).clamp(min=0)


@dataclass(frozen=True)
class MaskLoss:
    """What every mask was trained by."""

    snr: Tensor
    detail: Tensor
    share: Tensor

    def total(self, share: float = SHARE) -> Tensor:
        """The weighed sum. ``share``, its weight, is not what is scored, yet more of it scores better."""
        return 0.25 * self.snr + 10.0 * self.detail + share * self.share


def mask_loss(log_masks: Tensor, stats: BandStatistics, valid: Tensor) -> MaskLoss:
    """Measure ``log_masks`` [B, T, S, 2, 2, 120], whose exp sums to one over S, on the ``valid`` [B, T] frames."""
    error = error_energy(log_masks.exp(), stats)
    return MaskLoss(
        window_snr_loss(error, stats, valid), spectral_loss(error, stats, valid), share_loss(log_masks, stats, valid)
    )


def window_snr_loss(
    error: Tensor, stats: BandStatistics, valid: Tensor, window: int = SNR_WINDOW, floor: float = 1e-3
) -> Tensor:
    """Mean over stems and windows of 10·log10(error / mixture + floor), in dB.

    Its gradient is that of SNR where a stem is active, and of leakage relative to the mixture where it is silent.

    Args:
        error: [B, T, S, 2, 2, 120].
        valid: [B, T] bool frames that count.
        window: frames a window.
        floor: error below this fraction of the mixture no longer counts.
    """
    frames = error.shape[1] // window * window

    def total(x: Tensor) -> Tensor:
        x = x[:, :frames].sum((-1, -2, -3)) * valid[:, :frames, None]
        return x.unflatten(1, (-1, window)).sum(2)  # [B, windows, S]

    mix = total(stats.mix)
    loud = mix > 1e-6 * mix.mean()
    ratio = total(error) / mix.clamp(min=1e-20)
    return (10 * torch.log10(ratio + floor) * loud).sum() / (loud.sum() * error.shape[2]).clamp(min=1)


def spectral_loss(error: Tensor, stats: BandStatistics, valid: Tensor) -> Tensor:
    """Group L1: the root of each band's error energy over the root of the item's mean mixture energy a band.

    Hears quiet treble that an energy loss ignores.
    """
    scale = stats.mix.sqrt().mean((1, 2, 3, 4), keepdim=True)  # [B, 1, 1, 1, 1, 120]
    scale = scale + 0.05 * scale.mean(-1, keepdim=True) + 1e-7
    root = ((error + 1e-12 * stats.mix + 1e-14).sqrt() / scale).mean((2, 3, 4, 5))
    return (root * valid).sum() / valid.sum().clamp(min=1)


def share_loss(log_masks: Tensor, stats: BandStatistics, valid: Tensor) -> Tensor:
    """Cross-entropy between masks and each stem's share of the power of all, in nats.

    Its gradient is well conditioned from the first step on, which that of an SNR is not: windows that are nearly right
    pull hardest there. Bands count by the fourth root of their energy, so that quiet treble is heard too.

    Args:
        log_masks: [B, T, S, 2, 2, 120], log of masks that sum to one over S.
        valid: [B, T] bool frames that count.
    """
    share = stats.stem / (stats.stem.sum(2, keepdim=True) + 1e-20)
    weight = stats.mix.sqrt().sqrt()
    weight = weight * valid[:, :, None, None, None, None] / (weight.mean((1, 2, 3, 4, 5), keepdim=True) + 1e-9)
    return -(share * log_masks * weight).sum(2).mean()
