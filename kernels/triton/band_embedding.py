"""Bands of a frame in two kernels: products of a few bins each, then sum, norm and place of a band.

Contract: `kernels.reference.band_embedding`. A tile is some bins of one band, of which one stream has seventy: its
program makes their features, resolves those that are resolved, moves their past, which nobody else reads, and
multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.band_embedding import EPS, BandWeights
from kernels.triton.launch import block, check, lengths

_BINS = 16  # of a tile at most: a product wants 16
_SLOTS = 16


def band_embedding(
    weights: BandWeights,
    edges: Sequence[int],
    spectrum: Tensor,
    level: Tensor,
    past: Tensor | None = None,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.band_embedding`, complex64 only; no gradients. ``past`` must be contiguous
    (ValueError).
    """
    check("band_embedding", (level, *weights, *(() if past is None else (past,))))
    if spectrum.dtype != torch.complex64:
        raise TypeError(f"band_embedding of triton takes complex64, not {spectrum.dtype}")
    if past is not None and not past.is_contiguous():
        raise ValueError("band_embedding of triton moves a contiguous past only")
    w = BandWeights(*(x.contiguous() for x in weights))
    slots, dim, bands = len(level), w.norm.shape[0], len(edges) - 1
    tiles, owned = _tiles(tuple(edges), level.device)
    columns = torch.view_as_real(spectrum.resolve_conj()).contiguous()
    before, low = (0, 0) if past is None else (past.shape[1], past.shape[4])
    sums = torch.empty(slots, len(tiles), dim, dtype=torch.float32, device=level.device)
    out = torch.empty(slots, bands, dim, dtype=torch.float32, device=level.device)
    groups = triton.cdiv(slots, _SLOTS)
    _multiply[(len(tiles), groups)](
        columns, level.contiguous(), columns if past is None else past, lengths(level, active), w.filters, w.features,
        w.parts, tiles, sums, slots, spectrum.shape[-1], low, before, dim, len(tiles),
        SLOTS=_SLOTS, BINS=_BINS, BLOCK=block(dim),
    )  # fmt: skip
    _finish[(bands, groups)](
        sums, owned, w.bias, w.norm, w.position, out, slots, len(tiles), bands, dim, EPS,
        SLOTS=_SLOTS, BLOCK=block(dim),
    )  # fmt: skip
    return out


@lru_cache(maxsize=8)
def _tiles(edges: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """First bin and end of each tile [T, 2], and first tile of each band [N + 1]; int32, made once."""
    tiles, owned = list[tuple[int, int]](), [0]
    for first, last in zip(edges, edges[1:], strict=False):
        tiles += [(start, min(start + _BINS, last)) for start in range(first, last, _BINS)]
        owned.append(len(tiles))
    with torch.inference_mode(False):
        return tuple(torch.tensor(x, dtype=torch.int32, device=device) for x in (tiles, owned))  # type: ignore[return-value]


@triton.jit
def _log(power: tl.tensor) -> tl.tensor:
    """(log10 + 2) / 3 of what is above -80 dB."""
    return (tl.log(power + 1e-8) * 0.43429448190325176 + 2.0) * (1.0 / 3.0)


@triton.jit
def _pairs(x: tl.tensor, SLOTS: tl.constexpr, BINS: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """[SLOTS, 2·BINS] → real and imaginary [SLOTS, BINS]."""
    return tl.split(tl.reshape(x, (SLOTS, BINS, 2)))


@triton.jit
def _product(
    x: tl.tensor,  # [SLOTS, K]
    weight_ptr: tl.tensor,  # [R, D]
    row: tl.tensor,  # [K] rows of it
    there: tl.tensor,  # [K] bool
    dim: tl.tensor,
    BLOCK: tl.constexpr,
) -> tl.tensor:
    out = tl.arange(0, BLOCK)
    mask = there[:, None] & (out < dim)[None, :]
    weight = tl.load(weight_ptr + row[:, None] * dim + out[None, :], mask=mask, other=0.0).to(tl.float32)
    return tl.dot(x, weight, input_precision="ieee")


@triton.jit
def _filtered(
    x: tl.tensor,  # [SLOTS, 2·BINS], a column
    filters_ptr: tl.tensor,  # [2·C, 8]
    column: tl.tensor,
    SLOTS: tl.constexpr,
    BINS: tl.constexpr,
) -> tl.tensor:
    """What a column adds to the parts, [SLOTS, BINS, 8]: real and imaginary of each."""
    re, im = _pairs(x, SLOTS, BINS)
    taps = filters_ptr + column * 16 + tl.arange(0, 8)
    of_re, of_im = tl.load(taps).to(tl.float32), tl.load(taps + 8).to(tl.float32)
    return re[:, :, None] * of_re[None, None, :] + im[:, :, None] * of_im[None, None, :]


@triton.jit
def _multiply(
    spectrum_ptr: tl.tensor,  # [B, 2, 2, F, 2]
    level_ptr: tl.tensor,  # [B]
    past_ptr: tl.tensor,  # [B, P, 2, 2, L, 2], changed in place
    moves_ptr: tl.tensor,  # [B], 0 or 1
    filters_ptr: tl.tensor,  # [2·C, 8]
    features_ptr: tl.tensor,  # [F·6, D]
    parts_ptr: tl.tensor,  # [L·8, D]
    tiles_ptr: tl.tensor,  # [T, 2]
    sums_ptr: tl.tensor,  # [B, T, D]
    slots: tl.tensor,
    bins: tl.tensor,
    low: tl.tensor,
    before: tl.tensor,
    dim: tl.tensor,
    tiles: tl.tensor,
    SLOTS: tl.constexpr,
    BINS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    tile = tl.program_id(0)
    first, last = tl.load(tiles_ptr + 2 * tile), tl.load(tiles_ptr + 2 * tile + 1)
    slot = tl.program_id(1).to(tl.int64) * SLOTS + tl.arange(0, SLOTS)
    inside = slot < slots
    unit = tl.load(level_ptr + slot, mask=inside, other=1.0).to(tl.float32)[:, None] * bins
    scale = 1.0 / unit
    f, pair = first + tl.arange(0, BINS), 2 * first + tl.arange(0, 2 * BINS)
    there = f < last
    heard = inside[:, None] & (pair < 2 * last)[None, :]
    column = spectrum_ptr + slot[:, None] * 8 * bins + pair[None, :]
    total = tl.zeros((SLOTS, BLOCK), tl.float32)
    for t in tl.static_range(2):
        a, b = _pairs(tl.load(column + t * 2 * bins, mask=heard, other=0.0), SLOTS, BINS)
        c, d = _pairs(tl.load(column + (4 + t * 2) * bins, mask=heard, other=0.0), SLOTS, BINS)
        p, q = a * a + b * b, c * c + d * d
        panorama = 2.0 * (a * c + b * d) / (p + q + 1e-8 * unit)
        total += _product(_log(p * scale), features_ptr, f * 6 + 3 * t, there, dim, BLOCK)
        total += _product(_log(q * scale), features_ptr, f * 6 + 3 * t + 1, there, dim, BLOCK)
        total += _product(panorama, features_ptr, f * 6 + 3 * t + 2, there, dim, BLOCK)
    if first < low:
        resolved = inside[:, None] & (pair < 2 * tl.minimum(last, low))[None, :]
        moves = resolved & (tl.load(moves_ptr + slot, mask=inside, other=0) > 0)[:, None]
        part = tl.arange(0, 4 * BINS)
        known = first + part // 4 < tl.minimum(last, low)
        odd = (pair // 2 % 2 == 1)[None, :]
        for side in tl.static_range(2):
            spun = tl.zeros((SLOTS, BINS, 8), tl.float32)
            for t in tl.static_range(2):
                past = past_ptr + (slot[:, None] * before * 4 + side * 2 + t) * 2 * low + pair[None, :]
                for k in range(before):
                    old = tl.load(past + k * 8 * low, mask=resolved, other=0.0)
                    spun += _filtered(old.to(tl.float32), filters_ptr, 2 * k + t, SLOTS, BINS)
                    tl.debug_barrier()  # others may have read here what this one writes
                    tl.store(past + (k - 1) * 8 * low, old, mask=moves & (slot * 0 + k > 0)[:, None])
                x = tl.load(column + (4 * side + 2 * t) * bins, mask=resolved, other=0.0)
                if t == 1:
                    x = tl.where(odd, -x, x)
                spun += _filtered(x, filters_ptr, 2 * before + t, SLOTS, BINS)
                tl.debug_barrier()
                new = x.to(past_ptr.dtype.element_ty)
                tl.store(past + (before - 1) * 8 * low, new, mask=moves & (slot * 0 + before > 0)[:, None])
            power = tl.sum(tl.reshape(spun * spun, (SLOTS, BINS, 4, 2)), 3)
            log = tl.reshape(_log(power * scale[:, :, None]), (SLOTS, 4 * BINS))
            total += _product(log, parts_ptr, (first + part // 4) * 8 + side * 4 + part % 4, known, dim, BLOCK)
    out = tl.arange(0, BLOCK)
    at = sums_ptr + (slot[:, None] * tiles + tile) * dim + out[None, :]
    tl.store(at, total, mask=inside[:, None] & (out < dim)[None, :])


@triton.jit
def _finish(
    sums_ptr: tl.tensor,  # [B, T, D]
    owned_ptr: tl.tensor,  # [N + 1]
    bias_ptr: tl.tensor,  # [N, D]
    norm_ptr: tl.tensor,  # [D]
    position_ptr: tl.tensor,  # [N, D]
    out_ptr: tl.tensor,  # [B, N, D]
    slots: tl.tensor,
    tiles: tl.tensor,
    bands: tl.tensor,
    dim: tl.tensor,
    eps: tl.tensor,
    SLOTS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    band = tl.program_id(0)
    slot = tl.program_id(1).to(tl.int64) * SLOTS + tl.arange(0, SLOTS)
    i = tl.arange(0, BLOCK)
    inside = (slot < slots)[:, None] & (i < dim)[None, :]
    bias = tl.load(bias_ptr + band * dim + i, mask=i < dim, other=0.0).to(tl.float32)
    y = tl.zeros((SLOTS, BLOCK), tl.float32) + bias[None, :]
    for tile in range(tl.load(owned_ptr + band), tl.load(owned_ptr + band + 1)):
        y += tl.load(sums_ptr + (slot[:, None] * tiles + tile) * dim + i[None, :], mask=inside, other=0.0)
    scale = 1.0 / tl.sqrt(tl.sum(y * y, 1) / dim + eps)
    norm = tl.load(norm_ptr + i, mask=i < dim, other=0.0).to(tl.float32)
    position = tl.load(position_ptr + band * dim + i, mask=i < dim, other=0.0).to(tl.float32)
    y = y * scale[:, None] * norm[None, :] + position[None, :]
    tl.store(out_ptr + (slot[:, None] * bands + band) * dim + i[None, :], y, mask=inside)
