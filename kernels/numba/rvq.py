"""Residual vector quantization on the CPU. Contract and formula: `kernels.reference.rvq_encode`, `rvq_decode`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit
from kernels.numba.linear import add_linear
from kernels.numba.parts import array, rows_of


def rvq_encode(latents: Tensor, tables: Tensor) -> Tensor:
    """As :func:`kernels.reference.rvq_encode.rvq_encode`; float32 CPU tensors only (TypeError), no gradients."""
    codes = np.empty((latents.shape[0], tables.shape[0]), np.int64)
    _encode(rows_of("rvq_encode", latents).copy(), array(tables), codes)
    return torch.from_numpy(codes)


def rvq_decode(codes: Tensor, tables: Tensor) -> Tensor:
    """As :func:`kernels.reference.rvq_decode.rvq_decode`; float32 CPU tensors only (TypeError), no gradients."""
    latents = np.zeros((codes.shape[0], tables.shape[2]), np.float32)
    rows_of("rvq_decode", tables)
    _decode(array(codes), array(tables), latents)
    return torch.from_numpy(latents)


@jit
def _encode(residual: Any, tables: Any, codes: Any) -> None:
    """residual ``[N, C]`` is used up; tables ``[Q, K, C]``, codes ``[N, Q]``."""
    size, width = tables.shape[1], tables.shape[2]
    half = np.empty(size, np.float32)
    for q in range(tables.shape[0]):
        for k in range(size):
            total = np.float32(0)
            for i in range(width):
                total += tables[q, k, i] * tables[q, k, i]
            half[k] = total * np.float32(0.5)
        scores = np.zeros((residual.shape[0], size), np.float32)
        add_linear(residual, tables[q], scores)
        for n in range(residual.shape[0]):
            best = 0
            for k in range(size):
                if scores[n, k] - half[k] > scores[n, best] - half[best]:
                    best = k
            codes[n, q] = best
            for i in range(width):
                residual[n, i] -= tables[q, best, i]


@jit
def _decode(codes: Any, tables: Any, latents: Any) -> None:
    for n in range(codes.shape[0]):
        for q in range(codes.shape[1]):
            for i in range(latents.shape[1]):
                latents[n, i] += tables[q, codes[n, q], i]
