"""Columns of one frame a slot → a vector for each band of bins. Knows mid, side and bins; knows nothing of music.

P = |X|²,  u = level · F                                                       of a side, a column and a bin
features = for each column: log P_mid, log P_side, 2·Re(X_mid · X̄_side) / (P_mid + P_side + 1e-8·u)
                                          with log P = (log10(P / u + 1e-8) + 2) / 3
span  = past, X with its second column's odd bins turned around                of the first bins, those of past
parts = log |span · filters|²: what a Fourier transform along the columns resolves of a bin's two sides
past  = the last frames of span                                                (active slots)
out_n = rms_norm(Σ_bins features · W_n + parts · V_n + bias_n) · norm + position_n
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.rms_norm import rms_norm

EPS = torch.finfo(torch.float32).eps  # what torch's own norm adds by default
FEATURES = 6  # of a bin: three for each of two columns
RESOLVED = 8  # of a bin: four parts of each of two sides


class BandWeights(NamedTuple):
    """F bins, L of them resolved, N bands, C columns, D outputs. Without resolved bins L and C are 0."""

    features: Tensor  # [F·6, D]: a bin's rows, then the next one's
    parts: Tensor  # [L·8, D]: likewise; the parts of the mid, then those of the side
    bias: Tensor  # [N, D]
    norm: Tensor  # [D]
    position: Tensor  # [N, D]
    filters: Tensor  # [2·C, 8]: real and imaginary of a bin's columns, oldest first → those of its four parts


def band_embedding(
    weights: BandWeights,
    edges: Sequence[int],
    spectrum: Tensor,
    level: Tensor,
    past: Tensor | None = None,
    active: Tensor | None = None,
) -> Tensor:
    """Embed one frame.

    Args:
        weights: see :class:`BandWeights`.
        edges: N + 1 numbers increasing from 0 to F: band n is bins edges[n] … edges[n + 1] - 1.
        spectrum: ``[B, 2, 2, F]`` complex: mid and side, column, bin.
        level: ``[B]``, mean square of the sound, above zero.
        past: ``[B, C/2 - 1, 2, 2, L, 2]``, frames before this one, oldest first, real and imaginary, changed in place
            for active slots. None where no bins are resolved.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, N, D]`` in the spectrum's precision, whatever the weights'.
    """
    level = level.to(spectrum.real.dtype)
    features = _features(spectrum, level).flatten(1)
    bands = torch.stack(_products(features, weights.features, edges, FEATURES), 1) + weights.bias
    if past is not None:
        parts = _parts(weights.filters, spectrum, level, past, active).flatten(1)
        low = [edge for edge in edges if edge < past.shape[4]]
        more = torch.stack(_products(parts, weights.parts, (*low, past.shape[4]), RESOLVED), 1)
        bands = bands + F.pad(more, (0, 0, 0, bands.shape[1] - more.shape[1]))
    return rms_norm(bands, weights.norm, EPS) + weights.position


def _products(x: Tensor, weight: Tensor, edges: Sequence[int], rows: int) -> list[Tensor]:
    """x ``[B, bins·rows]`` times the weight's rows of the same bins, band by band."""
    weight = weight.to(x.dtype)
    spans = [(rows * a, rows * b) for a, b in zip(edges, edges[1:], strict=False)]
    return [x[:, a:b] @ weight[a:b] for a, b in spans]


def _log(power: Tensor, unit: Tensor) -> Tensor:
    return (torch.log10(power / unit + 1e-8) + 2.0) / 3.0


def _features(spectrum: Tensor, level: Tensor) -> Tensor:
    """``[B, F, 6]``."""
    unit = (level * spectrum.shape[-1])[:, None, None]
    power = spectrum.real.square() + spectrum.imag.square()
    log = _log(power, unit.unsqueeze(1))
    cross = (spectrum[:, 0] * spectrum[:, 1].conj()).real
    panorama = 2.0 * cross / (power.sum(1) + 1e-8 * unit)
    return torch.stack((log[:, 0], log[:, 1], panorama), -1).transpose(1, 2).flatten(2)


def _parts(filters: Tensor, spectrum: Tensor, level: Tensor, past: Tensor, active: Tensor | None) -> Tensor:
    """``[B, L, 8]``; the past moves on."""
    bins = past.shape[4]
    new = torch.view_as_real(spectrum[..., :bins])
    turned = new[:, :, 1] * (1 - 2 * (torch.arange(bins, device=new.device) % 2)).unsqueeze(-1)
    span = torch.cat((past.to(new.dtype), torch.stack((new[:, :, 0], turned), 2).unsqueeze(1)), 1)
    kept = span[:, 1:].detach()
    past.copy_(kept if active is None else torch.where(active[:, None, None, None, None, None], kept, past))
    rows = span.permute(0, 2, 4, 1, 3, 5).flatten(3)  # [B, 2, L, 2·C]
    power = (rows @ filters.to(rows.dtype)).unflatten(-1, (-1, 2)).square().sum(-1)
    unit = (level * spectrum.shape[-1])[:, None, None, None]
    return _log(power, unit).transpose(1, 2).flatten(2)


def cases() -> list[Case]:
    sizes = {"dim": 32, "columns": 8}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, dim: int, columns: int, bins: int = 961, bands: int = 30, resolved: int = 176) -> Cost:
    """Of 961 bins, 176 of them resolved. A logarithm counts as 20."""
    rows = bins * FEATURES + resolved * RESOLVED
    frames = columns // 2
    return Cost(
        flops=slots * (2 * rows * dim + bins * (4 * 25 + 12) + resolved * (64 * columns + 8 * 24)),
        bytes=4 * (rows * dim + slots * (8 * bins + 8 * resolved * (2 * frames - 2) + bands * dim)),
    )
