"""Residual vector quantization: codes → latents. Knows vectors and tables; knows nothing of how tables come about.

latent = Σ_q table[q, code_q]
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Cost
from kernels.reference.rvq_encode import cases

__all__ = ["cases", "cost", "rvq_decode"]


def rvq_decode(codes: Tensor, tables: Tensor) -> Tensor:
    """codes ``[N, q]`` int64 of the first q tables, tables ``[Q, K, C]`` → latents ``[N, C]``."""
    offset = torch.arange(codes.shape[1], device=codes.device) * tables.shape[1]
    return torch.nn.functional.embedding(codes + offset, tables.flatten(0, 1)).sum(1)


def cost(rows: int, codebooks: int, codes: int, dim: int) -> Cost:
    """Of the tables no more is read than there are codes, nor more than there is."""
    vectors = codebooks * min(rows, codes)
    return Cost(flops=rows * codebooks * dim, bytes=4 * dim * (vectors + rows) + 8 * rows * codebooks)
