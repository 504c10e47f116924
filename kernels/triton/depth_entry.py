"""Rows of all places in two kernels, the second the middle's way out. Contract: `kernels.reference.depth_entry`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.depth_entry import EntryWeights
from kernels.triton.launch import check, depth_block, tile
from kernels.triton.tiles import product


def depth_entry(weights: EntryWeights, h: Tensor, guide: Tensor | None, codebooks: int) -> Tensor:
    """As :func:`kernels.reference.depth_entry`; no gradients. Raises TypeError for other precisions."""
    check("depth_entry", (h, *weights, *(() if guide is None else (guide,))))
    w = EntryWeights(*(each.contiguous() for each in weights))
    stems, books, dim = w.place.shape
    frames, middle = len(h), w.down.shape[2]
    between = torch.empty(frames, stems, middle, dtype=h.dtype, device=h.device)
    if guide is not None:
        block_m, block_n = tile(frames, middle)
        _middle[(triton.cdiv(frames, block_m), stems, triton.cdiv(middle, block_n))](
            guide.contiguous(), w.down, w.down_bias, between, frames, stems, guide.shape[2], middle,
            BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=depth_block(guide, block_m),
        )  # fmt: skip
    known = torch.empty(frames, stems * codebooks, dim, dtype=h.dtype, device=h.device)
    block_m, block_n = tile(frames, dim)
    _known[(triton.cdiv(frames, block_m), stems, triton.cdiv(dim, block_n))](
        h.contiguous(), w.hidden, w.hidden_bias, between, w.up, w.place, known,
        frames, stems, h.shape[1], middle, dim, books, codebooks,
        GUIDED=guide is not None, BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=depth_block(h, block_m),
    )  # fmt: skip
    return known


@triton.jit
def _middle(
    guide_ptr: tl.tensor,  # [N, S, G]
    down_ptr: tl.tensor,  # [S, G, M]
    bias_ptr: tl.tensor,  # [S, M]
    middle_ptr: tl.tensor,  # [N, S, M]
    frames: tl.tensor,
    stems: tl.tensor,
    guides: tl.tensor,
    middle: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    s = tl.program_id(1).to(tl.int64)
    m = tl.program_id(2).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted, row = n < frames, m < middle, n * stems + s
    own_ptr = down_ptr + s * guides * middle
    acc = product(guide_ptr, own_ptr, row, inside, m, wanted, guides, 1, middle, BLOCK_M, BLOCK_N, BLOCK_K)
    acc += tl.load(bias_ptr + s * middle + m, mask=wanted, other=0.0).to(tl.float32)[None, :]
    acc = acc / (1.0 + tl.exp(-acc))
    at = middle_ptr + row[:, None] * middle + m[None, :]
    tl.store(at, acc.to(middle_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])


@triton.jit
def _known(
    h_ptr: tl.tensor,  # [N, H]
    hidden_ptr: tl.tensor,  # [D, H]
    bias_ptr: tl.tensor,  # [D]
    middle_ptr: tl.tensor,  # [N, S, M]
    up_ptr: tl.tensor,  # [S, M, D]
    place_ptr: tl.tensor,  # [S, Q, D]
    known_ptr: tl.tensor,  # [N, S, q, D]
    frames: tl.tensor,
    stems: tl.tensor,
    inputs: tl.tensor,
    middle: tl.tensor,
    dim: tl.tensor,
    books: tl.tensor,
    codebooks: tl.tensor,
    GUIDED: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    s = tl.program_id(1).to(tl.int64)
    d = tl.program_id(2).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside, wanted, row = n < frames, d < dim, n * stems + s
    acc = product(h_ptr, hidden_ptr, n, inside, d, wanted, inputs, inputs, 1, BLOCK_M, BLOCK_N, BLOCK_K)
    if GUIDED:
        own_ptr = up_ptr + s * middle * dim
        acc += product(middle_ptr, own_ptr, row, inside, d, wanted, middle, 1, dim, BLOCK_M, BLOCK_N, BLOCK_K)
    acc += tl.load(bias_ptr + d, mask=wanted, other=0.0).to(tl.float32)[None, :]
    for q in range(codebooks):
        place = tl.load(place_ptr + (s * books + q) * dim + d, mask=wanted, other=0.0).to(tl.float32)
        at = known_ptr + (row * codebooks + q)[:, None] * dim + d[None, :]
        tl.store(at, (acc + place[None, :]).to(known_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])
