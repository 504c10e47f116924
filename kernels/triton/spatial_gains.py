"""Gains between mid and side of stems in one kernel. Contract and formula: `kernels.reference.spatial_gains`.

A program owns a few neighbouring bands of a set of stems of a slot, over all columns.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference import spatial_gains as formula
from kernels.triton.launch import block, check, lengths

_FLOOR, _TINY = tl.constexpr(formula.FLOOR), tl.constexpr(formula.TINY)
_MOST, _LOADING = tl.constexpr(formula.MOST), tl.constexpr(formula.LOADING)
_BANDS = 4  # of a program: of few slots many programs


def spatial_gains(
    masks: Tensor, spectrum: Tensor, edges: Tensor, decay: float, kept: Tensor, active: Tensor | None = None
) -> Tensor:
    """As :func:`kernels.reference.spatial_gains`, complex64 only; no gradients. What is kept must be contiguous
    (ValueError).
    """
    parts = torch.view_as_real(spectrum).contiguous()
    check("spatial_gains", (masks, parts, kept))
    if not kept.is_contiguous():
        raise ValueError("spatial_gains of triton changes a contiguous tensor only")
    slots, sets, stems, _, columns, bands = masks.shape
    gains = torch.empty(slots, sets, stems, 2, 2, columns, bands, dtype=torch.float32, device=masks.device)
    _gains[(slots * sets, triton.cdiv(bands, _BANDS))](
        masks.contiguous(), parts, edges.contiguous(), kept, lengths(kept[:, 0, 0, 0, 0], active), gains,
        sets, stems, columns, spectrum.shape[-1], bands, decay,
        BLOCK_S=block(stems, least=1), BANDS=_BANDS, BLOCK=32, num_warps=1,
    )  # fmt: skip
    return gains


@triton.jit
def _gains(
    masks_ptr: tl.tensor,  # [B·G, S, sides, R, M]
    spectrum_ptr: tl.tensor,  # [B, sides, R, F, 2]
    edges_ptr: tl.tensor,  # [M + 1]
    kept_ptr: tl.tensor,  # [B·G, S, 3, M], changed in place
    moves_ptr: tl.tensor,  # [B], 0 or 1
    gains_ptr: tl.tensor,  # [B·G, S, 4, R, M]
    sets: tl.tensor,
    stems: tl.tensor,
    columns: tl.tensor,
    bins: tl.tensor,
    bands: tl.tensor,
    decay: tl.tensor,
    BLOCK_S: tl.constexpr,
    BANDS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64)
    b = n // sets
    s, m = tl.arange(0, BLOCK_S), tl.program_id(1) * BANDS + tl.arange(0, BANDS)
    there = (s < stems)[:, None] & (m < bands)[None, :]
    low = tl.load(edges_ptr + m, mask=m < bands, other=0).to(tl.int32)
    high = tl.load(edges_ptr + m + 1, mask=m < bands, other=0).to(tl.int32)
    history = kept_ptr + (n * stems + s[:, None]) * 3 * bands + m[None, :]
    old_mid = tl.load(history, mask=there, other=1.0).to(tl.float32)
    old_side = tl.load(history + bands, mask=there, other=1.0).to(tl.float32)
    old_both = tl.load(history + 2 * bands, mask=there, other=0.0).to(tl.float32)
    for r in range(columns):
        x, y, z = _powers(spectrum_ptr + (b * 2 * columns + r) * 2 * bins, columns * 2 * bins, low, high, BANDS, BLOCK)
        place = ((n * stems + s[:, None]) * 2 * columns + r) * bands + m[None, :]
        masked_mid = tl.load(masks_ptr + place, mask=there, other=0.0).to(tl.float32)
        masked_side = tl.load(masks_ptr + place + columns * bands, mask=there, other=0.0).to(tl.float32)
        old_mid, old_side, old_both = decay * old_mid, decay * old_side, decay * old_both
        mid, side, both = _place(masked_mid, masked_side, old_mid, old_side, old_both, x, y, z)
        first, second, cross, _, _, _, _ = _look(mid, side, both, x, y, z, there)
        load = _LOADING * (mid + side)
        p, q = mid + load, side + load
        found = q * first + p * second - 2.0 * both * cross
        found = tl.where(found < 0.0, 0.0, found)  # NaN stays
        scale = (found + _TINY) / (q * mid + p * side - 2.0 * both * both + _TINY)
        first, second, cross, g, h, i, j = _look(mid * scale, side * scale, both * scale, x, y, z, there)
        old_mid, old_side, old_both = old_mid + first, old_side + second, old_both + cross
        out = gains_ptr + ((n * stems + s[:, None]) * 4 * columns + r) * bands + m[None, :]
        tl.store(out, g, mask=there)
        tl.store(out + columns * bands, h, mask=there)
        tl.store(out + 2 * columns * bands, i, mask=there)
        tl.store(out + 3 * columns * bands, j, mask=there)
    moves = there & (there.to(tl.int32) * 0 + tl.load(moves_ptr + b) > 0)
    tl.store(history, old_mid.to(kept_ptr.dtype.element_ty), mask=moves)
    tl.store(history + bands, old_side.to(kept_ptr.dtype.element_ty), mask=moves)
    tl.store(history + 2 * bands, old_both.to(kept_ptr.dtype.element_ty), mask=moves)


@triton.jit
def _powers(
    mid_ptr: tl.tensor, to_side: tl.tensor, low: tl.tensor, high: tl.tensor, BANDS: tl.constexpr, BLOCK: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """[1, BANDS] each: of mid and side, and what they share."""
    first = tl.zeros((BANDS, BLOCK), tl.float32)
    second = tl.zeros((BANDS, BLOCK), tl.float32)
    both = tl.zeros((BANDS, BLOCK), tl.float32)
    for start in range(0, 2 * tl.max(high - low, 0), BLOCK):
        i = 2 * low[:, None] + start + tl.arange(0, BLOCK)[None, :]
        mid = tl.load(mid_ptr + i, mask=i < 2 * high[:, None], other=0.0)
        side = tl.load(mid_ptr + to_side + i, mask=i < 2 * high[:, None], other=0.0)
        first += mid * mid
        second += side * side
        both += mid * side
    x, y = tl.sum(first, 1) + _FLOOR, tl.sum(second, 1) + _FLOOR
    return x[None, :], y[None, :], tl.sum(both, 1)[None, :]


@triton.jit
def _place(
    m: tl.tensor, s: tl.tensor, old_mid: tl.tensor, old_side: tl.tensor, old_both: tl.tensor,
    x: tl.tensor, y: tl.tensor, z: tl.tensor,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:  # fmt: skip
    mid, side = m * x, s * y
    heard_mid, heard_side = old_mid + m * mid, old_side + s * side
    wide, narrow = tl.sqrt(mid * heard_mid), tl.sqrt(side * heard_side)
    power = (mid + side) / (wide + narrow + _TINY)
    mid, side = power * wide, power * narrow
    alike = (old_both + m * s * z) / (tl.sqrt(heard_mid) * tl.sqrt(heard_side) + _TINY)
    alike = tl.where(alike > _MOST, _MOST, tl.where(alike < -_MOST, -_MOST, alike))
    return mid, side, alike * tl.sqrt(mid * side)


@triton.jit
def _look(
    mid: tl.tensor, side: tl.tensor, both: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor, there: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """What is seen of a stem through its gains, and these."""
    p = tl.sum(tl.where(there, mid, 0.0), 0)[None, :]
    q = tl.sum(tl.where(there, side, 0.0), 0)[None, :]
    o = tl.sum(tl.where(there, both, 0.0), 0)[None, :]
    scale = 1.0 / (p * q - o * o)
    a, b = (mid * q - both * o) * scale, (both * p - mid * o) * scale
    d, e = (both * q - side * o) * scale, (side * p - both * o) * scale
    first = a * a * x + b * b * y + 2.0 * a * b * z + (1.0 - a) * mid - b * both
    second = d * d * x + e * e * y + 2.0 * d * e * z + (1.0 - e) * side - d * both
    cross = a * d * x + b * e * y + (a * e + b * d) * z + (1.0 - a) * both - b * side
    first, second = tl.where(first < 0.0, 0.0, first), tl.where(second < 0.0, 0.0, second)
    return first, second, cross, a, b, d, e
