"""Energies of a mixture and its stems in bands of bins, and what each stem shares with the mixture.

    mixture = Σ_s stem_s        mix = Σ_bins |mixture|²
    stem    = Σ_bins |stem_s|²  cross_s = Σ_bins Re(mixture · conj(stem_s))

All that a loss on banded masks needs to know of the bins, so that training touches them once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


def band_energies(columns: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum up bands.

    Args:
        columns: [B, S, R, F] complex64 or complex128: spectra of S stems.
        edges: [M + 1] int64, increasing from 0 to F: band m is bins edges[m] … edges[m + 1] - 1.

    Returns ``(mix [B, R, M], cross [B, S, R, M], stem [B, S, R, M])`` of the same precision.
    """
    mixture = torch.view_as_real(columns.sum(1, keepdim=True))
    parts = torch.view_as_real(columns)
    band = torch.bucketize(torch.arange(columns.shape[-1], device=columns.device), edges, right=True) - 1
    matrix = torch.nn.functional.one_hot(band, len(edges) - 1).to(parts.dtype)
    return (
        mixture.square().sum(-1)[:, 0] @ matrix,
        (mixture * parts).sum(-1) @ matrix,
        parts.square().sum(-1) @ matrix,
    )


def cases() -> list[Case]:
    return [Case("tiny batch", {"batch": 8, "stems": 4, "rows": 300, "bins": 961, "bands": 120})]


def cost(batch: int, stems: int, rows: int, bins: int, bands: int) -> Cost:
    return Cost(
        flops=batch * rows * bins * (4 + stems * 10),
        bytes=8 * batch * stems * rows * bins + 4 * batch * rows * bands * (2 * stems + 1),
    )
