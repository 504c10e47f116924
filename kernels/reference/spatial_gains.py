"""Band masks of stems → how mid and side of each stem come out of mid and side of the mixture. Knows no sound itself.

A mask turns a side of the mixture down and cannot follow a source that stands between mid and side. What a stem has
been heard to share between its sides tells them apart: the multichannel Wiener filter whose powers are the masks' and
whose spatial covariances are learned as the sound goes by (Duong, Vincent and Gribonval, "Under-determined reverberant
audio source separation using a full-rank spatial covariance model", IEEE TASLP 18(7), 2010; with powers from a network
Nugraha, Liutkus and Vincent, "Multichannel audio source separation with deep neural networks", 2016). Per band, with
P the power of mid and side of the mixture and H the covariance of a stem, which forgets:

    C = masks · P, its sum split between the sides half-way (as a geometric mean) to how H splits it, correlated as H is
    G = C (Σ_stems C)⁻¹             gains, which sum to the identity
    Ĉ = G · [mid, side]² · Gᵀ + (I - G) C     what the stem then is seen to be
    C scaled by the mean of Ĉ along C's own directions, G once more;     H = decay · H + Ĉ
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost

FLOOR = 1e-9  # of power: silence has no direction
TINY = 1e-20  # keeps nothing from dividing nothing
MOST = 0.98  # of a correlation: two stems in one place can still be told from each other by power
LOADING = 0.003  # of a covariance, lest what stands in one point forbid all that is beside it

Triple = tuple[Tensor, Tensor, Tensor]  # of a symmetric matrix: mid, side, both


def spatial_gains(
    masks: Tensor, spectrum: Tensor, edges: Tensor, decay: float, kept: Tensor, active: Tensor | None = None
) -> Tensor:
    """Advance the columns of a frame.

    Args:
        masks: ``[B, G, S, 2 sides, R, M]``, which sum to one over S; G sets of stems that know nothing of each other.
        spectrum: ``[B, 2 sides, R, F]`` complex mid/side columns of the mixture.
        edges: ``[M + 1]`` int64, rising from 0 to F: band m has the bins ``edges[m] … edges[m + 1] - 1``.
        decay: of the covariances from a column to the next.
        kept: ``[B, G, S, 3, M]``, the covariances of mid, side and both, changed in place for active slots.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns gains ``[B, G, S, 2 sides of the stem, 2 sides of the mixture, R, M]`` of the precision of the spectrum.
    """
    mixture = _band_powers(spectrum, edges)
    history, gains = kept.to(mixture[0].dtype).unbind(3), []
    for column, masked in enumerate(masks.to(mixture[0].dtype).unbind(4)):
        x: Triple = tuple(part[:, None, None, column] for part in mixture)  # pyright: ignore[reportAssignmentType]
        history = tuple(decay * part for part in history)
        covariance = _placed(masked, x, history)
        seen = _seen(_filter(covariance), covariance, x)
        covariance = _scaled(covariance, seen)
        gain = _filter(covariance)
        history = tuple(old + new for old, new in zip(history, _seen(gain, covariance, x), strict=True))
        gains.append(torch.stack(gain, 3).unflatten(3, (2, 2)))
    new = torch.stack(history, 3)
    kept.copy_(new if active is None else torch.where(active[:, None, None, None, None], new, kept))
    return torch.stack(gains, 5)


def _band_powers(spectrum: Tensor, edges: Tensor) -> Triple:
    """[B, R, M] each: what the bins of a band sum up to."""
    bins = torch.arange(spectrum.shape[-1], device=edges.device).unsqueeze(1)
    mid, side = torch.view_as_real(spectrum).unbind(1)
    bands = ((bins >= edges[:-1]) & (bins < edges[1:])).to(mid.dtype)  # [F, M]
    first, second, both = (x.sum(-1) @ bands for x in (mid * mid, side * side, mid * side))
    return first + FLOOR, second + FLOOR, both


def _placed(masked: Tensor, x: Triple, history: tuple[Tensor, ...]) -> Triple:
    """Covariance out of masks [B, G, S, 2, M] and what was heard before and is heard now."""
    m, s = masked.unbind(3)
    mid, side = m * x[0], s * x[1]
    old_mid, old_side, old_both = history[0] + m * mid, history[1] + s * side, history[2] + m * s * x[2]
    wide, narrow = (mid * old_mid).sqrt(), (side * old_side).sqrt()
    power = (mid + side) / (wide + narrow + TINY)
    mid, side = power * wide, power * narrow
    correlation = (old_both / (old_mid.sqrt() * old_side.sqrt() + TINY)).clamp(-MOST, MOST)
    return mid, side, correlation * (mid * side).sqrt()


def _filter(c: Triple) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """C (Σ C)⁻¹, row after row."""
    mid, side, both = (part.sum(2, keepdim=True) for part in c)
    scale = 1 / (mid * side - both * both)
    return (
        (c[0] * side - c[2] * both) * scale,
        (c[2] * mid - c[0] * both) * scale,
        (c[2] * side - c[1] * both) * scale,
        (c[1] * mid - c[2] * both) * scale,
    )


def _seen(gain: tuple[Tensor, Tensor, Tensor, Tensor], c: Triple, x: Triple) -> Triple:
    """What is seen of a stem, and what may be of it unseen."""
    a, b, d, e = gain
    # No power is negative; rounding might say so of a stem that is not there.
    return (
        (a * a * x[0] + b * b * x[1] + 2 * a * b * x[2] + (1 - a) * c[0] - b * c[2]).clamp(min=0),
        (d * d * x[0] + e * e * x[1] + 2 * d * e * x[2] + (1 - e) * c[1] - d * c[2]).clamp(min=0),
        a * d * x[0] + b * e * x[1] + (a * e + b * d) * x[2] + (1 - a) * c[2] - b * c[1],
    )


def _scaled(c: Triple, seen: Triple) -> Triple:
    """``c`` times tr(c⁻¹ seen) / 2, ``c`` being loaded."""
    load = LOADING * (c[0] + c[1])
    mid, side = c[0] + load, c[1] + load
    found = (side * seen[0] + mid * seen[1] - 2 * c[2] * seen[2]).clamp(min=0)
    scale = (found + TINY) / (side * c[0] + mid * c[1] - 2 * c[2] * c[2] + TINY)
    return c[0] * scale, c[1] * scale, c[2] * scale


def cases() -> list[Case]:
    sizes = {"sets": 1, "stems": 4, "columns": 2, "bins": 961, "bands": 120}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, sets: int, stems: int, columns: int, bins: int, bands: int) -> Cost:
    """A square root or a quotient counts as one."""
    places = slots * sets * stems * bands
    return Cost(
        flops=120 * places * columns + 12 * slots * columns * bins,
        bytes=4 * (places * (6 * columns + 6) + 4 * slots * columns * bins) + 8 * bands,
    )
