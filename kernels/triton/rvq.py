"""Residual vector quantization in Triton. Contracts: `kernels.reference.rvq_encode`, `kernels.reference.rvq_decode`.

Codes decide by differences of distances, so encoding takes float32 only, and its products are made in full precision.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import block, check


def rvq_encode(latents: Tensor, tables: Tensor) -> Tensor:
    """As :func:`kernels.reference.rvq_encode.rvq_encode`. Raises TypeError for other precisions."""
    check("rvq_encode", (latents, tables), (torch.float32,))
    codebooks, size, width = tables.shape
    codes = torch.empty(len(latents), codebooks, dtype=torch.int64, device=latents.device)
    bias = -0.5 * tables.square().sum(-1)
    block_m = block(len(latents), most=32)
    _encode[(triton.cdiv(len(latents), block_m),)](
        latents.contiguous(), tables.contiguous(), bias, codes, len(latents), codebooks, size, width,
        BLOCK_M=block_m, BLOCK_K=block(size, most=64), BLOCK_C=block(width),
    )  # fmt: skip
    return codes


def rvq_decode(codes: Tensor, tables: Tensor) -> Tensor:
    """As :func:`kernels.reference.rvq_decode.rvq_decode`."""
    check("rvq_decode", (tables,))
    _, size, width = tables.shape
    latents = torch.empty(len(codes), width, dtype=tables.dtype, device=tables.device)
    _decode[(len(codes),)](
        codes.contiguous(), tables.contiguous(), latents, codes.shape[1], size, width, BLOCK_C=block(width)
    )
    return latents


@triton.jit
def _encode(
    latents_ptr: tl.tensor,  # [N, C]
    tables_ptr: tl.tensor,  # [Q, K, C]
    bias_ptr: tl.tensor,  # [Q, K]: -|entry|² / 2
    codes_ptr: tl.tensor,  # [N, Q]
    rows: tl.tensor,
    codebooks: tl.tensor,
    size: tl.tensor,
    width: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_C: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    inside = row < rows
    c = tl.arange(0, BLOCK_C)
    used = c < width
    residual = tl.load(latents_ptr + row[:, None] * width + c[None, :], mask=inside[:, None] & used[None, :], other=0.0)
    for q in range(codebooks):
        best = tl.full((BLOCK_M,), float("-inf"), tl.float32)
        code = tl.zeros((BLOCK_M,), tl.int32)
        for start in range(0, size, BLOCK_K):
            k = start + tl.arange(0, BLOCK_K)
            there = k < size
            table = tl.load(
                tables_ptr + (q * size + k)[None, :] * width + c[:, None],
                mask=there[None, :] & used[:, None],
                other=0.0,
            )
            bias = tl.load(bias_ptr + q * size + k, mask=there, other=float("-inf"))
            scores = tl.dot(residual, table, input_precision="ieee") + bias[None, :]
            higher = tl.max(scores, 1)
            at = tl.min(tl.where(scores == higher[:, None], k[None, :], size), 1)
            code = tl.where(higher > best, at, code)
            best = tl.maximum(best, higher)
        tl.store(codes_ptr + row * codebooks + q, code.to(tl.int64), mask=inside)
        entry = (q * size + code)[:, None] * width + c[None, :]
        residual -= tl.load(tables_ptr + entry, mask=inside[:, None] & used[None, :], other=0.0)


@triton.jit
def _decode(
    codes_ptr: tl.tensor,  # [N, q]
    tables_ptr: tl.tensor,  # [Q, K, C]
    latents_ptr: tl.tensor,  # [N, C]
    codebooks: tl.tensor,
    size: tl.tensor,
    width: tl.tensor,
    BLOCK_C: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, BLOCK_C)
    total = tl.zeros((BLOCK_C,), tl.float32)
    for q in range(codebooks):
        code = tl.load(codes_ptr + row * codebooks + q)
        total += tl.load(tables_ptr + (q * size + code) * width + c, mask=c < width, other=0.0).to(tl.float32)
    tl.store(latents_ptr + row * width + c, total.to(latents_ptr.dtype.element_ty), mask=c < width)
