"""Windowed attention over pages on the CPU. Contract and formula: `kernels.reference.paged_attention`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit, part
from kernels.numba.exponential import exp
from kernels.numba.parts import array, rows_of
from kernels.reference.pages import check_ring


def paged_attention(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    window: int,
) -> Tensor:
    """As :func:`kernels.reference.paged_attention`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("paged_attention", q).reshape(q.shape)
    check_ring(table, k_pages.shape[1], window, q.shape[1])
    y = np.zeros_like(rows)
    _attend(rows, k_pages.numpy(), v_pages.numpy(), array(table), array(position), array(length), window, y)
    return torch.from_numpy(y)


@jit
def _attend(
    q: Any,  # [B, T, heads, head_dim]
    k_pages: Any,  # [P, page, kv_heads, head_dim]
    v_pages: Any,
    table: Any,  # [B, R]
    position: Any,
    length: Any,
    window: int,
    y: Any,  # [B, T, heads, head_dim], zeros
) -> None:
    slots, _, heads, dim = q.shape
    page, kv_heads = k_pages.shape[1], k_pages.shape[2]
    group = heads // kv_heads
    scale = np.float32(1 / math.sqrt(dim))
    scores = np.empty((group, window), np.float32)
    for b in range(slots):
        for t in range(length[b]):
            last = position[b] + t
            first = max(0, last - window + 1)
            for kv in range(kv_heads):
                for u in range(first, last + 1):
                    row = k_pages[table[b, u // page % table.shape[1]], u % page, kv]
                    for g in range(group):
                        total = np.float32(0)
                        for i in range(dim):
                            total += q[b, t, kv * group + g, i] * row[i]
                        scores[g, u - first] = total * scale
                count = last - first + 1
                for g in range(group):
                    _softmax(scores[g, :count])
                for u in range(first, last + 1):
                    row = v_pages[table[b, u // page % table.shape[1]], u % page, kv]
                    for g in range(group):
                        for i in range(dim):
                            y[b, t, kv * group + g, i] += scores[g, u - first] * row[i]


@part
def _softmax(scores: Any) -> None:
    top = np.float32(-np.inf)
    for u in range(scores.shape[0]):
        top = max(top, scores[u])
    total = np.float32(0)
    for u in range(scores.shape[0]):
        scores[u] = exp(scores[u] - top)
        total += scores[u]
    for u in range(scores.shape[0]):
        scores[u] /= total
