"""Fusion of guide and tokens in one kernel. Contract and formula: `kernels.reference.fuse_masks`.

A program owns a few neighbouring places (side, column, band) of a slot with all stems.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.fuse_masks import FuseWeights
from kernels.triton.launch import block, check

_LN_10 = tl.constexpr(math.log(10.0))
_PLACES = 32  # of a program: of few slots many programs


def fuse_masks(weights: FuseWeights, logits: Tensor, envelopes: Tensor, entropy: Tensor) -> Tensor:
    """As :func:`kernels.reference.fuse_masks`; no gradients."""
    check("fuse_masks", (*weights, logits, envelopes, entropy))
    slots, stems, sides, columns, bands = logits.shape
    masks = torch.empty(logits.shape, dtype=torch.float32, device=logits.device)
    _fuse[(slots, triton.cdiv(sides * columns * bands, _PLACES))](
        *(each.contiguous() for each in (*weights, logits, envelopes, entropy)), masks,
        stems, sides, columns, bands, BLOCK_S=block(stems, least=1), BLOCK=_PLACES, num_warps=1,
    )  # fmt: skip
    return masks


@triton.jit
def _fuse(
    guide_ptr: tl.tensor,  # []
    exponent_ptr: tl.tensor,  # [S]
    trust_ptr: tl.tensor,  # [S, sides, M]
    slope_ptr: tl.tensor,  # [S]
    usual_ptr: tl.tensor,  # [S]
    logits_ptr: tl.tensor,  # [B, S, sides, R, M]
    envelopes_ptr: tl.tensor,  # [B, S, R, M]
    entropy_ptr: tl.tensor,  # [B, S]
    masks_ptr: tl.tensor,  # as logits
    stems: tl.tensor,
    sides: tl.tensor,
    columns: tl.tensor,
    bands: tl.tensor,
    BLOCK_S: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    b = tl.program_id(0).to(tl.int64)
    s, i = tl.arange(0, BLOCK_S)[:, None], (tl.program_id(1) * BLOCK + tl.arange(0, BLOCK))[None, :]
    size, column = sides * columns * bands, columns * bands
    stem, inside = s < stems, i < size
    there = stem & inside
    side, m = i // column, i % bands
    exponent = tl.load(exponent_ptr + s, mask=stem, other=0.0).to(tl.float32)
    slope = tl.load(slope_ptr + s, mask=stem, other=0.0).to(tl.float32)
    usual = tl.load(usual_ptr + s, mask=stem, other=0.0).to(tl.float32)
    entropy = tl.load(entropy_ptr + b * stems + s, mask=stem, other=0.0).to(tl.float32)
    trust = tl.load(trust_ptr + (s * sides + side) * bands + m, mask=there, other=0.0).to(tl.float32)
    weight = exponent / (1.0 + tl.exp(-(trust + slope * (entropy - usual))))
    envelope = tl.load(envelopes_ptr + (b * stems + s) * column + i % column, mask=there, other=0.0).to(tl.float32)
    place = (b * stems + s) * size + i
    logits = tl.load(logits_ptr + place, mask=there, other=0.0).to(tl.float32)
    x = tl.load(guide_ptr).to(tl.float32) * logits + weight * ((envelope * 3.0 - 2.0) * _LN_10)
    x = tl.where(stem, x, float("-inf"))
    x = tl.exp(x - tl.max(x, 0)[None, :])
    tl.store(masks_ptr + place, x / tl.sum(x, 0)[None, :], mask=there)
