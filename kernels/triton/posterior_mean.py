"""Means of code vectors in one kernel. Contract and formula: `kernels.reference.posterior_mean`.

A program makes some columns of the latents of a few rows, and so goes through their logits itself.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import block, check

_FEW = 64  # rows: a large GPU has more processors, so that columns of a latent are shared among several


def posterior_mean(logits: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`kernels.reference.posterior_mean`; no gradients. Raises TypeError for other precisions."""
    check("posterior_mean", (logits, vectors))
    frames, stems, known, size = logits.shape
    books, _, width = vectors.shape
    latent = torch.empty(frames, stems, width, dtype=vectors.dtype, device=logits.device)
    entropy = torch.empty(frames, stems, dtype=vectors.dtype, device=logits.device)
    block_c = block(width, most=16 if frames * stems <= _FEW else 64)
    _mean[(triton.cdiv(frames * stems, 16), triton.cdiv(width, block_c))](
        logits.contiguous(), vectors.contiguous(), latent, entropy, frames * stems, known, books, size, width,
        BLOCK_M=16, BLOCK_K=64, BLOCK_C=block_c,
    )  # fmt: skip
    return latent, entropy


@triton.jit
def _mean(
    logits_ptr: tl.tensor,  # [M, Q, K]
    vectors_ptr: tl.tensor,  # [q, K, C]
    latent_ptr: tl.tensor,  # [M, C]
    entropy_ptr: tl.tensor,  # [M]
    rows: tl.tensor,
    known: tl.tensor,
    books: tl.tensor,
    size: tl.tensor,
    width: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_C: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside, wanted = row < rows, c < width
    mean = tl.zeros((BLOCK_M, BLOCK_C), tl.float32)
    unsure = tl.zeros((BLOCK_M,), tl.float32)
    for q in range(books):
        line = logits_ptr + (tl.minimum(row, rows - 1) * known + q)[:, None] * size
        top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
        for start in range(0, size, BLOCK_K):
            k = start + tl.arange(0, BLOCK_K)
            part = tl.load(line + k[None, :], mask=(k < size)[None, :], other=float("-inf")).to(tl.float32)
            top = tl.maximum(top, tl.max(part, 1))
        total = tl.zeros((BLOCK_M,), tl.float32)
        moment = tl.zeros((BLOCK_M,), tl.float32)
        sums = tl.zeros((BLOCK_M, BLOCK_C), tl.float32)
        for start in range(0, size, BLOCK_K):
            k = start + tl.arange(0, BLOCK_K)
            part = tl.load(line + k[None, :], mask=(k < size)[None, :], other=float("-inf")).to(tl.float32)
            below = part - top[:, None]
            p = tl.exp(below)
            total += tl.sum(p, 1)
            moment += tl.sum(tl.where(p > 0, p * below, 0.0), 1)
            cell = (q * size + k)[:, None] * width + c[None, :]
            table = tl.load(vectors_ptr + cell, mask=(k < size)[:, None] & wanted[None, :], other=0.0)
            sums += tl.dot(p.to(table.dtype), table, input_precision="ieee")
        mean += sums / total[:, None]
        unsure += tl.log(total) - moment / total
    at = latent_ptr + row[:, None] * width + c[None, :]
    tl.store(at, mean.to(latent_ptr.dtype.element_ty), mask=inside[:, None] & wanted[None, :])
    if tl.program_id(1) == 0:
        tl.store(entropy_ptr + row, (unsure / books).to(entropy_ptr.dtype.element_ty), mask=inside)
