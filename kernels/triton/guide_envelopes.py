"""Masks and envelopes of the guide in one kernel. Contract and formula: `kernels.reference.guide_envelopes`.

A program owns a few neighbouring bands of a column of a slot, with both sides and all stems.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference import guide_envelopes as formula
from kernels.triton.launch import block, check

_FLOOR_POWER = tl.constexpr(formula.FLOOR_POWER)
_LOG10_OF_E = tl.constexpr(0.4342944819032518)
_BANDS = 4  # of a program: of few slots many programs


def guide_envelopes(logits: Tensor, spectrum: Tensor, level: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`kernels.reference.guide_envelopes`, complex64 only; no gradients."""
    parts = torch.view_as_real(spectrum).contiguous()
    check("guide_envelopes", (logits, parts, level))
    slots, stems, sides, columns, bands = logits.shape
    masks = torch.empty(logits.shape, dtype=torch.float32, device=logits.device)
    envelopes = torch.empty(slots, stems, columns * bands, dtype=torch.float32, device=logits.device)
    _weigh[(slots * columns, triton.cdiv(bands, _BANDS))](
        logits.contiguous(), parts, level.contiguous(), edges.contiguous(), masks, envelopes,
        stems, columns, spectrum.shape[-1], bands,
        SIDES=sides, BLOCK_S=block(stems, least=1), BANDS=_BANDS, BLOCK=32, num_warps=1,
    )  # fmt: skip
    return masks, envelopes


@triton.jit
def _weigh(
    logits_ptr: tl.tensor,  # [B, S, sides, R, M]
    spectrum_ptr: tl.tensor,  # [B, sides, R, F, 2]
    level_ptr: tl.tensor,  # [B]
    edges_ptr: tl.tensor,  # [M + 1]
    masks_ptr: tl.tensor,  # as logits
    envelopes_ptr: tl.tensor,  # [B, S, R, M]
    stems: tl.tensor,
    columns: tl.tensor,
    bins: tl.tensor,
    bands: tl.tensor,
    SIDES: tl.constexpr,
    BLOCK_S: tl.constexpr,
    BANDS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    b, r = (tl.program_id(0) // columns).to(tl.int64), tl.program_id(0) % columns
    s, m = tl.arange(0, BLOCK_S), tl.program_id(1) * BANDS + tl.arange(0, BANDS)
    inside = m < bands
    low = tl.load(edges_ptr + m, mask=inside, other=0).to(tl.int32)
    high = tl.load(edges_ptr + m + 1, mask=inside, other=0).to(tl.int32)
    widest = 2 * tl.max(high - low, 0)
    there = (s < stems)[:, None] & inside[None, :]
    energy = tl.zeros((BLOCK_S, BANDS), tl.float32)
    for side in tl.static_range(SIDES):
        numbers = spectrum_ptr + ((b * SIDES + side) * columns + r) * 2 * bins
        power = tl.zeros((BANDS, BLOCK), tl.float32)
        for start in range(0, widest, BLOCK):
            i = 2 * low[:, None] + start + tl.arange(0, BLOCK)[None, :]
            part = tl.load(numbers + i, mask=i < 2 * high[:, None], other=0.0)
            power += part * part
        place = (((b * stems + s[:, None]) * SIDES + side) * columns + r) * bands + m[None, :]
        x = tl.load(logits_ptr + place, mask=there, other=float("-inf")).to(tl.float32)
        x = tl.where(inside[None, :], x, 0.0)
        share = tl.exp(x - tl.max(x, 0)[None, :])
        share = share / tl.sum(share, 0)[None, :]
        tl.store(masks_ptr + place, share, mask=there)
        energy += share * share * tl.sum(power, 1)[None, :]
    scale = tl.load(level_ptr + b).to(tl.float32) * bins * (high - low).to(tl.float32)
    scale = tl.where(inside, scale, 1.0)
    y = (tl.log(energy / scale[None, :] + _FLOOR_POWER) * _LOG10_OF_E + 2.0) / 3.0
    tl.store(envelopes_ptr + ((b * stems + s[:, None]) * columns + r) * bands + m[None, :], y, mask=there)
