"""Gains of bands on the mixture's columns in two kernels, before and after torch's inverse FFT. Contract and formula:
`kernels.reference.mask_render`.

A program of the first owns a piece of a column; of the second a piece of a hop with all columns of a stem, so that
nobody else reads the tail.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import block, check, lengths

_ROOT_HALF = tl.constexpr(0.5**0.5)


def mask_render(
    gains: Tensor,
    spectrum: Tensor,
    added: Tensor,
    band: Tensor,
    window: Tensor,
    tail: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.mask_render`, complex64 only; no gradients. The tail must be contiguous
    (ValueError).
    """
    if not tail.is_contiguous():
        raise ValueError("mask_render of triton moves a contiguous tail only")
    mixture, besides = torch.view_as_real(spectrum).contiguous(), torch.view_as_real(added).contiguous()
    check("mask_render", (gains, mixture, besides, window, tail))
    slots, stems, sides, _, rows, bands = gains.shape
    hop, bins = tail.shape[-1], spectrum.shape[-1]
    count = slots * stems * sides * rows
    columns = torch.empty(count, bins, 2, dtype=torch.float32, device=gains.device)
    piece = block(2 * bins, most=512)
    _pass[(count, triton.cdiv(2 * bins, piece))](
        gains.contiguous(), mixture, besides, band.contiguous(), columns,
        stems, rows, bins, bands, 2 * added.shape[-1], BLOCK=piece,
    )  # fmt: skip
    # Unscaled: the second kernel does that in passing.
    waves = torch.fft.irfft(torch.view_as_complex(columns), 2 * hop, norm="forward").contiguous()
    sound = torch.empty(slots, stems, 2, rows * hop, dtype=torch.float32, device=gains.device)
    piece = block(hop, most=128)
    _overlap[(slots * stems, triton.cdiv(hop, piece))](
        waves, window.contiguous(), tail, lengths(gains[:, 0, 0, 0, 0, 0], active), sound, stems, hop, 0.5 / hop,
        ROWS=rows, BLOCK=piece,
    )  # fmt: skip
    return sound


@triton.jit
def _pass(
    gains_ptr: tl.tensor,  # [B, S, 2 to, 2 from, R, M]
    mixture_ptr: tl.tensor,  # [B, 2 from, R, F, 2]
    added_ptr: tl.tensor,  # [B, S, 2 to, R, K, 2]
    band_ptr: tl.tensor,  # [F]
    columns_ptr: tl.tensor,  # [B, S, 2 to, R, F, 2]
    stems: tl.tensor,
    rows: tl.tensor,
    bins: tl.tensor,
    bands: tl.tensor,
    low: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64)
    r, stem = n % rows, n // rows  # a side of a stem
    mid_ptr = mixture_ptr + (n // (2 * stems * rows) * 2 * rows + r) * 2 * bins
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < 2 * bins
    band = tl.load(band_ptr + i // 2, mask=inside, other=0)
    gain = gains_ptr + (stem * 2 * rows + r) * bands + band
    of_mid = tl.load(gain, mask=inside, other=0.0).to(tl.float32)
    of_side = tl.load(gain + rows * bands, mask=inside, other=0.0).to(tl.float32)
    mid = tl.load(mid_ptr + i, mask=inside, other=0.0)
    side = tl.load(mid_ptr + rows * 2 * bins + i, mask=inside, other=0.0)
    besides = tl.load(added_ptr + n * low + i, mask=i < low, other=0.0)
    tl.store(columns_ptr + n * 2 * bins + i, of_mid * mid + of_side * side + besides, mask=inside)


@triton.jit
def _overlap(
    waves_ptr: tl.tensor,  # [B·S, 2 sides, R, 2·hop]
    window_ptr: tl.tensor,  # [2·hop]
    tail_ptr: tl.tensor,  # [B·S, 2 sides, hop], changed in place
    moves_ptr: tl.tensor,  # [B], 0 or 1
    sound_ptr: tl.tensor,  # [B·S, 2 channels, R, hop]
    stems: tl.tensor,
    hop: tl.tensor,
    scale: tl.tensor,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < hop
    moves = inside & (i * 0 + tl.load(moves_ptr + n // stems) > 0)
    rise = tl.load(window_ptr + i, mask=inside, other=0.0).to(tl.float32) * scale
    fall = tl.load(window_ptr + hop + i, mask=inside, other=0.0).to(tl.float32) * scale
    tail = tail_ptr + n * 2 * hop + i
    mid_before = tl.load(tail, mask=inside, other=0.0).to(tl.float32)
    side_before = tl.load(tail + hop, mask=inside, other=0.0).to(tl.float32)
    for r in tl.static_range(ROWS):
        mid_ptr = waves_ptr + (n * 2 * ROWS + r) * 2 * hop + i
        side_ptr = mid_ptr + ROWS * 2 * hop
        mid = tl.load(mid_ptr, mask=inside, other=0.0) * rise + mid_before
        side = tl.load(side_ptr, mask=inside, other=0.0) * rise + side_before
        out = sound_ptr + (n * 2 * ROWS + r) * hop + i
        tl.store(out, (mid + side) * _ROOT_HALF, mask=inside)
        tl.store(out + ROWS * hop, (mid - side) * _ROOT_HALF, mask=inside)
        mid_before = tl.load(mid_ptr + hop, mask=inside, other=0.0) * fall
        side_before = tl.load(side_ptr + hop, mask=inside, other=0.0) * fall
    tl.store(tail, mid_before.to(tail_ptr.dtype.element_ty), mask=moves)
    tl.store(tail + hop, side_before.to(tail_ptr.dtype.element_ty), mask=moves)
