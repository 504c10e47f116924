"""Residual vector quantization: latents → codes. Knows vectors and tables; knows nothing of how tables come about.

code_q = argmin_k |r_q - table[q, k]|²,   r_0 = latent,   r_{q+1} = r_q - table[q, code_q]
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


def rvq_encode(latents: Tensor, tables: Tensor) -> Tensor:
    """latents ``[N, C]``, tables ``[Q, K, C]`` → codes ``[N, Q]`` int64."""
    residual = latents
    codes: list[Tensor] = []
    for table in tables:
        codes.append(torch.addmm(-0.5 * table.square().sum(-1), residual, table.T).argmax(-1))
        residual = residual - table[codes[-1]]
    return torch.stack(codes, -1)


def cases() -> list[Case]:
    sizes = {"codebooks": 8, "codes": 512, "dim": 64}
    return [Case("tiny frame", {"rows": 4, **sizes}), Case("64 streams", {"rows": 256, **sizes})]


def cost(rows: int, codebooks: int, codes: int, dim: int) -> Cost:
    return Cost(
        flops=2 * rows * codebooks * codes * dim,
        bytes=4 * (codebooks * codes * dim + rows * dim) + 8 * rows * codebooks,
    )
