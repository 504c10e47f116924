"""Inputs for the ops between the layers of a frame, and in front of and behind them. Knows contracts; no backend."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from kernels.reference.band_embedding import BandWeights
from kernels.reference.depth_entry import EntryWeights
from kernels.reference.frame_net import FrameBlockWeights, FrameNetWeights
from kernels.reference.fuse_masks import FuseWeights
from kernels.reference.group_linear import GroupWeights
from kernels.reference.guide_head import GuideWeights
from kernels.reference.hold_tone import KEPT
from kernels.reference.rope import rope_frequencies
from kernels.reference.temporal_entry import TemporalEntryWeights

Inputs = tuple[Any, ...]


def matrix(rand: Any, out: int, inputs: int) -> Tensor:
    return rand(out, inputs, scale=inputs**-0.5)


def complex_columns(rand: Any, *shape: int) -> Tensor:
    """Complex, and so of float32 at least."""
    parts = rand(*shape), rand(*shape)
    return torch.complex(*(x if x.dtype == torch.float64 else x.float() for x in parts))


def _band_embedding(rand: Any, slots: int, dim: int, columns: int) -> Inputs:
    widths = (0, *[4] * 8, *[8] * 6, *[16] * 6, *[32] * 5, *[64] * 3, 216, 217)
    edges = tuple(accumulate(widths))
    bands, bins, low = len(edges) - 1, edges[-1], edges[20]
    weights = BandWeights(
        *(rand(bins * 6, dim), rand(low * 8, dim)),
        *(rand(bands, dim), rand(dim), rand(bands, dim), rand(2 * columns, 8)),
    )
    past = rand(slots, columns // 2 - 1, 2, 2, low, 2)
    return weights, edges, complex_columns(rand, slots, 2, 2, bins), torch.ones(slots), past


def _band_energies(rand: Any, batch: int, stems: int, rows: int, bins: int, bands: int) -> Inputs:
    shape = batch, stems, rows, bins
    return complex_columns(rand, *shape), torch.arange(bands + 1) * bins // bands


def _depth_entry(
    rand: Any, slots: int, stems: int, hidden: int, guide: int, middle: int, dim: int, codebooks: int
) -> Inputs:
    weights = EntryWeights(
        *(matrix(rand, dim, hidden), rand(dim), rand(stems, guide, middle, scale=guide**-0.5), rand(stems, middle)),
        *(rand(stems, middle, dim, scale=middle**-0.5), rand(stems, codebooks, dim)),
    )
    return weights, rand(slots, hidden), rand(slots, stems, guide), codebooks


def _frame_net(
    rand: Any, rows: int, inputs: int, dim: int, hidden: int, layers: int, outputs: int, wanted: int
) -> Inputs:
    m = matrix
    blocks = tuple(
        FrameBlockWeights(rand(dim), m(rand, hidden, dim), rand(hidden), m(rand, dim, hidden), rand(dim))
        for _ in range(layers)
    )
    weights = FrameNetWeights(
        *(m(rand, outputs, inputs), rand(outputs), m(rand, dim, inputs), rand(dim)),
        *(blocks, rand(dim), m(rand, outputs, dim)),
    )
    return weights, rand(rows, inputs), wanted


def _fuse_masks(rand: Any, slots: int, stems: int, columns: int, bands: int) -> Inputs:
    weights = FuseWeights(rand(1)[0], rand(stems), rand(stems, 2, bands), rand(stems), rand(stems))
    return weights, rand(slots, stems, 2, columns, bands), rand(slots, stems, columns * bands), rand(slots, stems)


def _group_linear(rand: Any, slots: int, inputs: int, groups: int, dim: int, outputs: int) -> Inputs:
    heard = torch.arange(groups) * inputs // groups
    weight = rand(groups, dim, outputs, scale=dim**-0.5)
    return GroupWeights(weight, rand(groups, outputs), heard), rand(slots, inputs, dim), rand(groups, outputs)


def _guide_envelopes(rand: Any, slots: int, stems: int, columns: int, bins: int, bands: int) -> Inputs:
    edges = torch.arange(bands + 1) * bins // bands
    return (
        rand(slots, stems, 2, columns, bands),
        complex_columns(rand, slots, 2, columns, bins),
        torch.ones(slots),
        edges,
    )


def _guide_head(
    rand: Any, slots: int, tokens: int, dim: int, bands: int, groups: int, width: int, hidden: int,
    rows: int, columns: int,
) -> Inputs:  # fmt: skip
    part = bands // groups * width
    weights = GuideWeights(
        *(torch.arange(bands) * tokens // bands, rand(groups, dim, part, scale=dim**-0.5), rand(groups, part)),
        *(matrix(rand, 2 * hidden, 2 * width), rand(2 * hidden)),
        *(rand(bands, hidden, rows * columns, scale=hidden**-0.5), rand(bands, rows * columns)),
    )
    return weights, rand(slots, tokens, dim), rand(slots, bands, width), rows


def _hold_tone(rand: Any, slots: int, sets: int, stems: int, columns: int, bins: int) -> Inputs:
    shares = rand(slots, sets, stems, columns, bins).softmax(2)
    gains = torch.eye(2)[:, :, None, None] * shares[:, :, :, None, None]
    return gains, complex_columns(rand, slots, 2, columns, bins), 0, 0.9, torch.zeros(slots, sets, KEPT, bins)


def _istft_ola(rand: Any, rows: int, columns: int, hop: int) -> Inputs:
    spectrum = complex_columns(rand, rows, columns, hop + 1)
    return spectrum, rand(2 * hop), rand(rows, hop)


def _mask_render(rand: Any, slots: int, stems: int, columns: int, hop: int, bands: int, low: int) -> Inputs:
    spectrum = complex_columns(rand, slots, 2, columns, hop + 1)
    band = torch.arange(hop + 1) * bands // (hop + 1)
    gains = rand(slots, stems, 2, 2, columns, bands)
    added = complex_columns(rand, slots, stems, 2, columns, low)
    return gains, spectrum, added, band, rand(2 * hop), rand(slots, stems, 2, hop)


def _posterior_mean(rand: Any, slots: int, stems: int, books: int, codes: int, width: int) -> Inputs:
    return rand(slots, stems, books, codes), rand(books, codes, width)


def _recall(rand: Any, slots: int, frames: int, columns: int, bins: int) -> Inputs:
    new, kept = (complex_columns(rand, slots, *lead, 2, columns, bins) for lead in ((), (frames,)))
    return new, rand(slots), torch.arange(slots) % (frames + 2), -1, kept, rand(slots, frames)


def _spatial_gains(rand: Any, slots: int, sets: int, stems: int, columns: int, bins: int, bands: int) -> Inputs:
    spectrum, edges = complex_columns(rand, slots, 2, columns, bins), torch.arange(bands + 1) * bins // bands
    masks, powers = rand(slots, sets, stems, 2, columns, bands).softmax(2), rand(slots, sets, stems, 2, bands).exp()
    kept = torch.cat((powers, torch.zeros_like(powers[:, :, :, :1])), 3)
    return masks, spectrum, edges, 0.99, kept


def _temporal_entry(rand: Any, slots: int, stems: int, inputs: int, width: int, dim: int, head_dim: int) -> Inputs:
    project = rand(stems, width, dim, scale=(stems * width) ** -0.5)
    weights = TemporalEntryWeights(
        *(matrix(rand, dim, inputs), rand(dim), rand(4, dim), rand(1), project, rand(stems, dim)),
        rope_frequencies(head_dim).to(torch.get_default_device()),
    )
    index, position = torch.arange(slots) % 4, torch.arange(slots) + 1_000_000_007
    return weights, rand(slots, inputs), rand(slots, stems, width), index, position, -1


def _track_level(rand: Any, slots: int, bins: int) -> Inputs:
    return (
        complex_columns(rand, slots, 2, 2, bins),
        rand(2).sigmoid(),
        rand(slots, 2).square(),
        1 + rand(slots, 2).square(),
    )


FRAME_MAKERS: dict[str, Callable[..., Inputs]] = {
    "band_embedding": _band_embedding,
    "band_energies": _band_energies,
    "depth_entry": _depth_entry,
    "frame_net": _frame_net,
    "fuse_masks": _fuse_masks,
    "group_linear": _group_linear,
    "guide_envelopes": _guide_envelopes,
    "guide_head": _guide_head,
    "hold_tone": _hold_tone,
    "istft_ola": _istft_ola,
    "mask_render": _mask_render,
    "posterior_mean": _posterior_mean,
    "recall": _recall,
    "spatial_gains": _spatial_gains,
    "temporal_entry": _temporal_entry,
    "track_level": _track_level,
}
