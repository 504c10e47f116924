"""Mask logits of a frame → masks, and how loud each stem then is. Knows bands, sides and stems; nothing of tokens.

masks = softmax of logits over stems
energy[s, r, m] = Σ_side masks[s, side, r, m]² · Σ_{bin of band m} |spectrum[side, r, bin]|²
envelopes = (log10(energy / (level · bins · width of m) + 1e-6) + 2) / 3
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost

FLOOR_POWER = 1e-6


def guide_envelopes(logits: Tensor, spectrum: Tensor, level: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Masks and log envelopes.

    Args:
        logits: ``[B, S, 2 sides, R, M]``.
        spectrum: ``[B, 2 sides, R, F]`` complex mid/side columns of the mixture.
        level: ``[B]`` mean square of the mixture, above zero.
        edges: ``[M + 1]`` int64, rising from 0 to F: band m has the bins ``edges[m] … edges[m + 1] - 1``.

    Returns masks as ``logits``, which sum to one over S, and envelopes ``[B, S, R · M]``, both of the precision of the
    spectrum.
    """
    parts = torch.view_as_real(spectrum)
    masks = torch.softmax(logits.to(parts.dtype), 1)
    bins = torch.arange(spectrum.shape[-1], device=edges.device).unsqueeze(1)
    bands = ((bins >= edges[:-1]) & (bins < edges[1:])).to(parts.dtype)  # [F, M]
    mixture = parts.square().sum(-1) @ bands
    energy = (masks.square() * mixture.unsqueeze(1)).sum(2)
    scale = level.to(parts.dtype)[:, None, None, None] * spectrum.shape[-1] * edges.diff()
    return masks, ((torch.log10(energy / scale + FLOOR_POWER) + 2.0) / 3.0).flatten(-2)


def cases() -> list[Case]:
    sizes = {"stems": 4, "columns": 2, "bins": 961, "bands": 120}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, stems: int, columns: int, bins: int, bands: int) -> Cost:
    """An exponential or a logarithm counts as ten."""
    masks, envelopes, parts = 2 * slots * stems * columns * bands, slots * stems * columns * bands, 4 * slots * columns
    return Cost(
        flops=15 * masks + 13 * envelopes + 2 * parts * bins,
        bytes=4 * (2 * masks + envelopes + parts * bins + slots) + 8 * bands,
    )
