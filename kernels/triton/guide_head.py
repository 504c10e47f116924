"""Mask logits of the bands in one kernel. Contract and formula: `kernels.reference.guide_head`.

A program owns a band of some slots from its token to its logits; of the hidden channels it has a few at a time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.guide_head import GuideWeights
from kernels.triton.launch import block, check
from kernels.triton.tiles import add_exactly

_HIDDEN = 32  # channels at a time


def guide_head(weights: GuideWeights, tokens: Tensor, target: Tensor, rows: int) -> Tensor:
    """As :func:`kernels.reference.guide_head`; no gradients. Raises TypeError for other precisions."""
    check("guide_head", (tokens, target, *weights[1:]))
    token, split, split_bias, mix, mix_bias, weight, bias = (each.contiguous() for each in weights)
    slots, bands, width = target.shape
    logits = bias.shape[1]
    out = torch.empty(slots, rows, bands * (logits // rows), dtype=torch.float32, device=tokens.device)
    block_m, block_v = block(slots, most=32), block(logits, most=64)
    _bands[(bands, triton.cdiv(slots, block_m), triton.cdiv(logits, block_v))](
        tokens.contiguous(), target.contiguous(), token, split, split_bias, mix, mix_bias, weight, bias, out,
        slots, tokens.shape[1], tokens.shape[2], bands, width, mix.shape[0] // 2, logits, logits // rows,
        bands // split.shape[0],
        BLOCK_M=block_m, BLOCK_D=32, BLOCK_W=block(width), BLOCK_H=_HIDDEN, BLOCK_V=block_v,
    )  # fmt: skip
    return out


@triton.jit
def _bands(
    tokens_ptr: tl.tensor,  # [M, N, D]
    target_ptr: tl.tensor,  # [M, R, W]
    token_ptr: tl.tensor,  # [R]
    split_ptr: tl.tensor,  # [G, D, P·W]
    split_bias_ptr: tl.tensor,  # [G, P·W]
    mix_ptr: tl.tensor,  # [2·H, 2·W]
    mix_bias_ptr: tl.tensor,  # [2·H]
    weight_ptr: tl.tensor,  # [R, H, V]
    bias_ptr: tl.tensor,  # [R, V]
    out_ptr: tl.tensor,  # [M, V / columns, R·columns]
    slots: tl.tensor,
    tokens: tl.tensor,
    dim: tl.tensor,
    bands: tl.tensor,
    width: tl.tensor,
    hidden: tl.tensor,
    logits: tl.tensor,
    columns: tl.tensor,
    parts: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_W: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_V: tl.constexpr,
) -> None:
    band = tl.program_id(0).to(tl.int64)
    slot = tl.program_id(1).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    v = tl.program_id(2) * BLOCK_V + tl.arange(0, BLOCK_V)
    w = tl.arange(0, BLOCK_W)
    inside, narrow, wanted = slot < slots, w < width, v < logits
    group, first = band // parts, band % parts * width
    heard_ptr = tokens_ptr + (slot * tokens + tl.load(token_ptr + band)) * dim
    own_ptr = split_ptr + group * dim * parts * width + first
    said = tl.zeros((BLOCK_M, BLOCK_W), tl.float32)
    lost = tl.zeros((BLOCK_M, BLOCK_W), tl.float32)
    for start in range(0, dim, BLOCK_D):
        i = start + tl.arange(0, BLOCK_D)
        there = i < dim
        heard = tl.load(heard_ptr[:, None] + i, mask=inside[:, None] & there[None, :], other=0.0)
        own = tl.load(
            own_ptr + i[:, None] * parts * width + w[None, :], mask=there[:, None] & narrow[None, :], other=0.0
        )
        said, lost = add_exactly(said, lost, tl.dot(heard, own, input_precision="ieee"))
    said += tl.load(split_bias_ptr + (group * parts * width + first) + w, mask=narrow, other=0.0)[None, :]
    said = said.to(target_ptr.dtype.element_ty)
    target = tl.load(
        target_ptr + (slot * bands + band)[:, None] * width + w, mask=inside[:, None] & narrow[None, :], other=0.0
    )
    out = tl.zeros((BLOCK_M, BLOCK_V), tl.float32)
    lost_out = tl.zeros((BLOCK_M, BLOCK_V), tl.float32)
    for start in range(0, hidden, BLOCK_H):
        h = start + tl.arange(0, BLOCK_H)
        there = h < hidden
        gate = _mixed(said, target, mix_ptr, mix_bias_ptr, h, there, w, narrow, width)
        value = _mixed(said, target, mix_ptr, mix_bias_ptr, h + hidden, there, w, narrow, width)
        open = (gate / (1.0 + tl.exp(-gate)) * value).to(weight_ptr.dtype.element_ty)
        weight = tl.load(
            weight_ptr + (band * hidden + h)[:, None] * logits + v, mask=there[:, None] & wanted[None, :], other=0.0
        )
        out, lost_out = add_exactly(out, lost_out, tl.dot(open, weight, input_precision="ieee"))
    out += tl.load(bias_ptr + band * logits + v, mask=wanted, other=0.0).to(tl.float32)[None, :]
    column = v // columns * (bands * columns) + band * columns + v % columns
    tl.store(out_ptr + slot[:, None] * (logits * bands) + column[None, :], out, mask=inside[:, None] & wanted[None, :])


@triton.jit
def _mixed(
    said: tl.tensor,  # [BLOCK_M, BLOCK_W]
    target: tl.tensor,  # [BLOCK_M, BLOCK_W]
    mix_ptr: tl.tensor,  # [2·H, 2·W]
    bias_ptr: tl.tensor,  # [2·H]
    row: tl.tensor,  # [BLOCK_H], rows of mix
    there: tl.tensor,
    w: tl.tensor,
    narrow: tl.tensor,
    width: tl.tensor,
) -> tl.tensor:
    """(said, target) · mixᵀ + bias, [BLOCK_M, BLOCK_H] float32."""
    at = mix_ptr + row[None, :] * 2 * width + w[:, None]
    mask = narrow[:, None] & there[None, :]
    y = tl.dot(said, tl.load(at, mask=mask, other=0.0), input_precision="ieee")
    y += tl.dot(target, tl.load(at + width, mask=mask, other=0.0), input_precision="ieee")
    return y + tl.load(bias_ptr + row, mask=there, other=0.0).to(tl.float32)[None, :]
