"""Norm, projections, RoPE and append on the CPU. Contract: `kernels.reference.norm_qkv_rope_append`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit, part
from kernels.numba.linear import add_linear
from kernels.numba.parts import array, norm_rows, rotate, rows_of
from kernels.reference.rms_norm import EPS

_RADIANS = 2 * math.pi / (1 << 32)


def norm_qkv_rope_append(
    x: Tensor,
    norm: Tensor,
    qkv: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    frequencies: Tensor,
    eps: float = EPS,
) -> Tensor:
    """As :func:`kernels.reference.norm_qkv_rope_append`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("norm_qkv_rope_append", x).reshape(x.shape)
    dim = k_pages.shape[3]
    heads = qkv.shape[0] // dim - 2 * k_pages.shape[2]
    q = np.empty((*x.shape[:2], heads, dim), np.float32)
    _project(
        *(rows, array(norm), array(qkv), k_pages.numpy(), v_pages.numpy(), array(table), array(position)),
        *(array(length), array(frequencies), np.float32(eps), q),
    )
    return torch.from_numpy(q)


@jit
def _project(
    x: Any,  # [B, T, D]
    norm: Any,
    qkv: Any,
    k_pages: Any,  # [P, page, kv_heads, head_dim]
    v_pages: Any,
    table: Any,  # [B, R]
    position: Any,
    length: Any,
    frequencies: Any,
    eps: Any,
    q: Any,  # [B, T, heads, head_dim]
) -> None:
    slots, rows, width = x.shape
    heads, dim = q.shape[2], q.shape[3]
    page, kv_heads = k_pages.shape[1], k_pages.shape[2]
    flat = x.reshape(slots * rows, width)
    normed = np.empty_like(flat)
    norm_rows(flat, norm, normed, eps)
    projected = np.zeros((slots * rows, qkv.shape[0]), dtype=np.float32)
    add_linear(normed, qkv, projected)
    cos = np.empty(dim // 2, np.float32)
    sin = np.empty(dim // 2, np.float32)
    for b in range(slots):
        for t in range(length[b]):
            at = position[b] + t
            rotation(at, frequencies, cos, sin)
            row = projected[b * rows + t].reshape(heads + 2 * kv_heads, dim)
            rotate(row[: heads + kv_heads], cos, sin)
            q[b, t] = row[:heads]
            k_pages[table[b, at // page % table.shape[1]], at % page] = row[heads : heads + kv_heads]
            v_pages[table[b, at // page % table.shape[1]], at % page] = row[heads + kv_heads :]


@part
def rotation(position: int, frequencies: Any, cos: Any, sin: Any) -> None:
    """Cosine and sine [head_dim / 2] of a position; the phase is an integer, see `kernels.reference.rope`."""
    for i in range(frequencies.shape[0]):
        phase = ((position & 0xFFFFFFFF) * frequencies[i]) & 0xFFFFFFFF
        signed = phase - (1 << 32) if phase >= 1 << 31 else phase
        cos[i] = math.cos(signed * _RADIANS)
        sin[i] = math.sin(signed * _RADIANS)
