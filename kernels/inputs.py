"""Inputs for every op out of the sizes of its cases. Knows contracts; knows no backend."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import accumulate
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from kernels.reference.band_embedding import BandWeights
from kernels.reference.conformer_step import ConformerWeights
from kernels.reference.depth_decode import Choice, DepthPlan
from kernels.reference.depth_entry import EntryWeights
from kernels.reference.depth_step import DepthHeads, DepthWeights
from kernels.reference.frame_net import FrameBlockWeights, FrameNetWeights
from kernels.reference.fuse_masks import FuseWeights
from kernels.reference.group_linear import GroupWeights
from kernels.reference.guide_head import GuideWeights
from kernels.reference.layer import LayerWeights
from kernels.reference.pages import ring_pages
from kernels.reference.rope import rope_frequencies, rope_rotation
from kernels.reference.temporal_entry import TemporalEntryWeights
from kernels.registry import IMPLEMENTATIONS

Inputs = tuple[Any, ...]


def make_inputs(op: str, sizes: dict[str, int], dtype: torch.dtype, device: str) -> Inputs:
    """Arguments of ``op``: random, with full windows. Raises KeyError for an op without inputs."""
    maker = _MAKERS[op]

    def rand(*shape: int, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(*shape, device=device)).to(dtype)

    with torch.device(device):
        return maker(rand, **sizes)


def ops() -> list[str]:
    return sorted(_MAKERS)


def contract(op: str) -> ModuleType:
    """The module of the op's reference: its ``cases()`` and its ``cost()``."""
    return importlib.import_module(
        next(known.module for known in IMPLEMENTATIONS if (known.op, known.backend) == (op, "reference"))
    )


def _matrix(rand: Any, out: int, inputs: int) -> Tensor:
    return rand(out, inputs, scale=inputs**-0.5)


def _spectrum(rand: Any, *shape: int) -> Tensor:
    """Complex, and so of float32 at least."""
    parts = rand(*shape), rand(*shape)
    return torch.complex(*(x if x.dtype == torch.float64 else x.float() for x in parts))


def _rms_norm(rand: Any, rows: int, dim: int) -> Inputs:
    return rand(rows, dim), rand(dim)


def _swiglu(rand: Any, rows: int, dim: int) -> Inputs:
    return (rand(rows, 2 * dim),)


def _norm_swiglu(rand: Any, rows: int, dim: int, hidden: int) -> Inputs:
    return rand(rows, dim), rand(dim), _matrix(rand, 2 * hidden, dim)


def _norm_linear(rand: Any, rows: int, dim: int, out: int) -> Inputs:
    return rand(rows, dim), rand(dim), _matrix(rand, out, dim)


def _linear_residual(rand: Any, rows: int, dim: int, out: int) -> Inputs:
    return rand(rows, dim), _matrix(rand, out, dim), rand(rows, out)


def _conv_stream(rand: Any, slots: int, frames: int, dim: int, kernel: int) -> Inputs:
    return rand(slots, frames, dim), rand(slots, kernel - 1, dim), rand(kernel, dim), torch.full((slots,), frames)


def _pages(rand: Any, slots: int, rows: int, kv_heads: int, head_dim: int, window: int, page: int) -> Inputs:
    columns = ring_pages(window, page, rows)
    pools = [rand(slots * columns, page, kv_heads, head_dim) for _ in range(2)]
    table = torch.randperm(slots * columns).view(slots, columns).to(torch.int32)
    return *pools, table, torch.full((slots,), 3 * window), torch.full((slots,), rows)


def _paged_attention(rand: Any, slots: int, rows: int, heads: int, **sizes: int) -> Inputs:
    q = rand(slots, rows, heads, sizes["head_dim"])
    return q, *_pages(rand, slots, rows, **sizes), sizes["window"]


def _append(rand: Any, slots: int, rows: int, dim: int, heads: int, kv_heads: int, head_dim: int) -> Inputs:
    qkv = _matrix(rand, (heads + 2 * kv_heads) * head_dim, dim)
    pages = _pages(rand, slots, rows, kv_heads, head_dim, window=128, page=16)
    return rand(slots, rows, dim), rand(dim), qkv, *pages, rope_frequencies(head_dim).to(torch.get_default_device())


def _rel_attention(rand: Any, slots: int, tokens: int, frames: int, heads: int, head_dim: int, window: int) -> Inputs:
    new = [rand(slots, tokens, frames, heads, head_dim) for _ in range(3)]
    rings = [rand(slots, tokens, heads, window, head_dim) for _ in range(2)]
    return *new, *rings, rand(heads, window), torch.full((slots,), 3 * window), torch.full((slots,), frames)


def _sample(rand: Any, rows: int, codes: int) -> Inputs:
    return rand(rows, 1, codes), 1.0, 50, torch.arange(rows), torch.arange(rows), torch.arange(1)


def _rvq_encode(rand: Any, rows: int, codebooks: int, codes: int, dim: int) -> Inputs:
    return rand(rows, dim), rand(codebooks, codes, dim)


def _rvq_decode(rand: Any, rows: int, codebooks: int, codes: int, dim: int) -> Inputs:
    return torch.randint(codes, (rows, codebooks)), rand(codebooks, codes, dim)


def _istft_ola(rand: Any, rows: int, columns: int, hop: int) -> Inputs:
    spectrum = _spectrum(rand, rows, columns, hop + 1)
    return spectrum, rand(2 * hop), rand(rows, hop)


def _mask_render(rand: Any, slots: int, stems: int, columns: int, hop: int, bands: int) -> Inputs:
    spectrum = _spectrum(rand, slots, 2, columns, hop + 1)
    band = torch.arange(hop + 1) * bands // (hop + 1)
    return rand(slots, stems, 2, columns, bands).softmax(1), spectrum, band, rand(2 * hop), rand(slots, stems, 2, hop)


def _guide_envelopes(rand: Any, slots: int, stems: int, columns: int, bins: int, bands: int) -> Inputs:
    edges = torch.arange(bands + 1) * bins // bands
    return rand(slots, stems, 2, columns, bands), _spectrum(rand, slots, 2, columns, bins), torch.ones(slots), edges


def _fuse_masks(rand: Any, slots: int, stems: int, columns: int, bands: int) -> Inputs:
    weights = FuseWeights(rand(1)[0], rand(stems), rand(stems, 2, bands), rand(stems), rand(stems))
    return weights, rand(slots, stems, 2, columns, bands), rand(slots, stems, columns * bands), rand(slots, stems)


def _recall(rand: Any, slots: int, frames: int, columns: int, bins: int) -> Inputs:
    new, kept = (_spectrum(rand, slots, *lead, 2, columns, bins) for lead in ((), (frames,)))
    return new, rand(slots), torch.arange(slots) % (frames + 2), -1, kept, rand(slots, frames)


def _frame_net(
    rand: Any, rows: int, inputs: int, dim: int, hidden: int, layers: int, outputs: int, wanted: int
) -> Inputs:
    m = _matrix
    blocks = tuple(
        FrameBlockWeights(rand(dim), m(rand, hidden, dim), rand(hidden), m(rand, dim, hidden), rand(dim))
        for _ in range(layers)
    )
    weights = FrameNetWeights(
        *(m(rand, outputs, inputs), rand(outputs), m(rand, dim, inputs), rand(dim)),
        *(blocks, rand(dim), m(rand, outputs, dim)),
    )
    return weights, rand(rows, inputs), wanted


def _group_linear(rand: Any, slots: int, inputs: int, groups: int, dim: int, outputs: int) -> Inputs:
    heard = torch.arange(groups) * inputs // groups
    weight = rand(groups, dim, outputs, scale=dim**-0.5)
    return GroupWeights(weight, rand(groups, outputs), heard), rand(slots, inputs, dim), rand(groups, outputs)


def _guide_head(
    rand: Any, slots: int, tokens: int, dim: int, bands: int, groups: int, width: int, hidden: int,
    rows: int, columns: int,
) -> Inputs:  # fmt: skip
    part = bands // groups * width
    weights = GuideWeights(
        *(torch.arange(bands) * tokens // bands, rand(groups, dim, part, scale=dim**-0.5), rand(groups, part)),
        *(_matrix(rand, 2 * hidden, 2 * width), rand(2 * hidden)),
        *(rand(bands, hidden, rows * columns, scale=hidden**-0.5), rand(bands, rows * columns)),
    )
    return weights, rand(slots, tokens, dim), rand(slots, bands, width), rows


def _layer(rand: Any, dim: int, kv_dim: int, hidden: int) -> LayerWeights:
    return LayerWeights(
        *(rand(dim), _matrix(rand, dim + 2 * kv_dim, dim), _matrix(rand, dim, dim)),
        *(rand(dim), _matrix(rand, 2 * hidden, dim), _matrix(rand, dim, hidden)),
    )


def _temporal_step(rand: Any, slots: int, dim: int, hidden: int, heads: int, kv_heads: int, window: int) -> Inputs:
    width = dim // heads
    caches = [rand(slots, window, kv_heads, width) for _ in range(2)]
    position = torch.full((slots,), 3 * window)
    frequencies = rope_frequencies(width).to(position.device)
    return (
        _layer(rand, dim, width * kv_heads, hidden),
        rand(slots, dim),
        *caches,
        position,
        *rope_rotation(position, frequencies),
    )


def _paged_step(rand: Any, slots: int, dim: int, hidden: int, heads: int, kv_heads: int, window: int) -> Inputs:
    ring = _temporal_step(rand, slots, dim, hidden, heads, kv_heads, window)
    page = 16
    pools = [cache.view(-1, page, *cache.shape[2:]) for cache in ring[2:4]]
    table = torch.arange(slots * window // page).view(slots, -1)
    return *ring[:2], *pools, table, *ring[4:]


def _conformer_step(rand: Any, slots: int, tokens: int, dim: int, hidden: int, window: int, kernel: int) -> Inputs:
    heads, m = 4, _matrix
    weights = ConformerWeights(
        *(rand(dim), m(rand, 2 * hidden, dim), m(rand, dim, hidden)),
        *(rand(dim), m(rand, 3 * dim, dim), m(rand, dim, dim), rand(heads, window)),
        *(rand(dim), m(rand, 2 * dim, dim), rand(kernel, dim), rand(dim), m(rand, dim, dim)),
        *(rand(dim), m(rand, 3 * dim, dim), m(rand, dim, dim)),
        *(rand(dim), m(rand, 2 * hidden, dim), m(rand, dim, hidden)),
    )
    rings = [rand(slots, tokens, heads, window, dim // heads) for _ in range(2)]
    past = rand(slots, tokens, kernel - 1, dim)
    return weights, rand(slots, tokens, dim), *rings, past, torch.full((slots,), 3 * window)


def _token_attention(rand: Any, frames: int, tokens: int, heads: int, head_dim: int) -> Inputs:
    return (rand(frames, tokens, 3, heads, head_dim),)


def _gated_conv_step(rand: Any, slots: int, tokens: int, dim: int, kernel: int) -> Inputs:
    return rand(slots, tokens, 2 * dim), rand(slots, tokens, kernel - 1, dim), rand(kernel, dim), rand(dim)


def _depth_decode(
    rand: Any, frames: int, places: int, steps: int, dim: int, hidden: int, layers: int, codes: int, width: int
) -> Inputs:
    """Wavefront order: stem s emits codebook q at step s + q."""
    stems = 4
    books = places // stems
    order = sorted(((s + q, q, s) for s in range(stems) for q in range(books)))
    assert order[-1][0] + 1 == steps
    row, book = torch.tensor([s for _, _, s in order]), torch.tensor([q for _, q, _ in order])
    step = torch.tensor([j for j, _, _ in order])
    place = row * books + book
    plan = DepthPlan(
        books=tuple(tuple(q for j, q, _ in order if j == at) for at in range(steps)),
        place=place,
        rank=place.argsort(),
        book=book,
        fed=torch.stack((row + 1, row), 1),
        emits=row + 1,
        scale=torch.zeros_like(row),
        counter=place,
        bias=torch.zeros(places, places).masked_fill(step.unsqueeze(1) < step, -torch.inf),
        latents=stems + 1,
    )
    heads = DepthHeads(
        rand(dim), rand(books, codes, dim, scale=dim**-0.5), rand(0, width, dim), rand(0, codes, width), rand(1),
        rand(books, codes),
    )  # fmt: skip
    weights = DepthWeights(
        rand(books, dim, 2 * width, scale=0.1), tuple(_layer(rand, dim, dim, hidden) for _ in range(layers)), heads
    )
    return weights, 4, rand(books, codes, width), rand(2), plan, rand(frames, places, dim), Choice(soft=True)


def _band_energies(rand: Any, batch: int, stems: int, rows: int, bins: int, bands: int) -> Inputs:
    shape = batch, stems, rows, bins
    return _spectrum(rand, *shape), torch.arange(bands + 1) * bins // bands


def _band_embedding(rand: Any, slots: int, dim: int, columns: int) -> Inputs:
    widths = (0, *[4] * 8, *[8] * 6, *[16] * 6, *[32] * 5, *[64] * 3, 216, 217)
    edges = tuple(accumulate(widths))
    bands, bins, low = len(edges) - 1, edges[-1], edges[20]
    weights = BandWeights(
        *(rand(bins * 6, dim), rand(low * 8, dim)),
        *(rand(bands, dim), rand(dim), rand(bands, dim), rand(2 * columns, 8)),
    )
    past = rand(slots, columns // 2 - 1, 2, 2, low, 2)
    return weights, edges, _spectrum(rand, slots, 2, 2, bins), torch.ones(slots), past


def _posterior_mean(rand: Any, slots: int, stems: int, books: int, codes: int, width: int) -> Inputs:
    return rand(slots, stems, books, codes), rand(books, codes, width)


def _depth_entry(
    rand: Any, slots: int, stems: int, hidden: int, guide: int, middle: int, dim: int, codebooks: int
) -> Inputs:
    weights = EntryWeights(
        *(_matrix(rand, dim, hidden), rand(dim), rand(stems, guide, middle, scale=guide**-0.5), rand(stems, middle)),
        *(rand(stems, middle, dim, scale=middle**-0.5), rand(stems, codebooks, dim)),
    )
    return weights, rand(slots, hidden), rand(slots, stems, guide), codebooks


def _temporal_entry(rand: Any, slots: int, stems: int, inputs: int, width: int, dim: int, head_dim: int) -> Inputs:
    project = rand(stems, width, dim, scale=(stems * width) ** -0.5)
    weights = TemporalEntryWeights(
        *(_matrix(rand, dim, inputs), rand(dim), rand(4, dim), rand(1), project, rand(stems, dim)),
        rope_frequencies(head_dim).to(torch.get_default_device()),
    )
    index, position = torch.arange(slots) % 4, torch.arange(slots) + 1_000_000_007
    return weights, rand(slots, inputs), rand(slots, stems, width), index, position, -1


def _track_level(rand: Any, slots: int, bins: int) -> Inputs:
    return _spectrum(rand, slots, 2, 2, bins), rand(2).sigmoid(), rand(slots, 2).square(), 1 + rand(slots, 2).square()


_MAKERS: dict[str, Callable[..., Inputs]] = {
    "band_embedding": _band_embedding,
    "band_energies": _band_energies,
    "conformer_step": _conformer_step,
    "conv_stream": _conv_stream,
    "depth_decode": _depth_decode,
    "depth_entry": _depth_entry,
    "frame_net": _frame_net,
    "fuse_masks": _fuse_masks,
    "gated_conv_step": _gated_conv_step,
    "group_linear": _group_linear,
    "guide_envelopes": _guide_envelopes,
    "guide_head": _guide_head,
    "istft_ola": _istft_ola,
    "linear_residual": _linear_residual,
    "mask_render": _mask_render,
    "norm_linear": _norm_linear,
    "norm_qkv_rope_append": _append,
    "norm_swiglu": _norm_swiglu,
    "paged_attention": _paged_attention,
    "paged_step": _paged_step,
    "posterior_mean": _posterior_mean,
    "recall": _recall,
    "rel_attention": _rel_attention,
    "rms_norm": _rms_norm,
    "rvq_decode": _rvq_decode,
    "rvq_encode": _rvq_encode,
    "sample": _sample,
    "swiglu": _swiglu,
    "temporal_entry": _temporal_entry,
    "temporal_step": _temporal_step,
    "token_attention": _token_attention,
    "track_level": _track_level,
}
