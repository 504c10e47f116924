"""Inputs for every op out of the sizes of its cases. Knows contracts; knows no backend."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from kernels.frame_inputs import FRAME_MAKERS, Inputs, matrix
from kernels.reference.conformer_step import ConformerWeights
from kernels.reference.depth_decode import Choice, DepthPlan
from kernels.reference.depth_step import DepthHeads, DepthWeights
from kernels.reference.layer import LayerWeights
from kernels.reference.pages import ring_pages
from kernels.reference.rope import rope_frequencies, rope_rotation
from kernels.registry import IMPLEMENTATIONS


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


def _rms_norm(rand: Any, rows: int, dim: int) -> Inputs:
    return rand(rows, dim), rand(dim)


def _swiglu(rand: Any, rows: int, dim: int) -> Inputs:
    return (rand(rows, 2 * dim),)


def _norm_swiglu(rand: Any, rows: int, dim: int, hidden: int) -> Inputs:
    return rand(rows, dim), rand(dim), matrix(rand, 2 * hidden, dim)


def _norm_linear(rand: Any, rows: int, dim: int, out: int) -> Inputs:
    return rand(rows, dim), rand(dim), matrix(rand, out, dim)


def _linear_residual(rand: Any, rows: int, dim: int, out: int) -> Inputs:
    return rand(rows, dim), matrix(rand, out, dim), rand(rows, out)


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
    qkv = matrix(rand, (heads + 2 * kv_heads) * head_dim, dim)
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


def _layer(rand: Any, dim: int, kv_dim: int, hidden: int) -> LayerWeights:
    return LayerWeights(
        *(rand(dim), matrix(rand, dim + 2 * kv_dim, dim), matrix(rand, dim, dim)),
        *(rand(dim), matrix(rand, 2 * hidden, dim), matrix(rand, dim, hidden)),
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
    heads, m = 4, matrix
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


_MAKERS: dict[str, Callable[..., Inputs]] = {
    **FRAME_MAKERS,
    "conformer_step": _conformer_step,
    "conv_stream": _conv_stream,
    "depth_decode": _depth_decode,
    "gated_conv_step": _gated_conv_step,
    "linear_residual": _linear_residual,
    "norm_linear": _norm_linear,
    "norm_qkv_rope_append": _append,
    "norm_swiglu": _norm_swiglu,
    "paged_attention": _paged_attention,
    "paged_step": _paged_step,
    "rel_attention": _rel_attention,
    "rms_norm": _rms_norm,
    "rvq_decode": _rvq_decode,
    "rvq_encode": _rvq_encode,
    "sample": _sample,
    "swiglu": _swiglu,
    "temporal_step": _temporal_step,
    "token_attention": _token_attention,
}
