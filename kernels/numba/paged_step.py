"""One layer of a sliding-window transformer over pages, on the CPU. Contract: `kernels.reference.paged_step`.

The order of the sums does not depend on the length of a page: a stream has the same bits in pages and in a ring.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit, part
from kernels.numba.exponential import exp
from kernels.numba.kept import kept_matrices
from kernels.numba.matrices import add_product, outputs
from kernels.numba.parts import array, mlp_rows, norm_rows, rotate
from kernels.reference.layer import LayerWeights


def paged_step(
    layer: LayerWeights,
    x: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    cos: Tensor,
    sin: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.paged_step`; float32 CPU tensors only, no gradients, else TypeError."""
    return step(layer, x, k_pages, v_pages, array(table), position, cos, sin, active)


def step(
    layer: LayerWeights,
    x: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Any,
    position: Tensor,
    cos: Tensor,
    sin: Tensor,
    active: Tensor | None,
) -> Tensor:
    """The op, its table numbers of numpy."""
    if x.dtype != torch.float32 or x.device.type != "cpu":
        raise TypeError(f"a transformer layer of numba takes float32 on the CPU, got {x.dtype} on {x.device}")
    rows = x.detach().numpy().copy()
    moves = np.ones(len(rows), dtype=np.bool_) if active is None else active.numpy()
    pages = k_pages.numpy(), v_pages.numpy(), table
    _layer(rows, kept_matrices(layer), *pages, array(position), array(cos), array(sin), moves)
    return torch.from_numpy(rows)


@jit
def _layer(
    x: Any,  # [B, D], changed in place
    weights: Any,  # of a LayerWeights
    k_pages: Any,  # [P, page, kv_heads, head_dim]
    v_pages: Any,
    table: Any,  # [B, R]
    position: Any,  # [B]
    cos: Any,  # [B, head_dim / 2]
    sin: Any,
    moves: Any,  # [B] bool
) -> None:
    attention_norm, qkv, out, mlp_norm, gate_up, down = weights
    slots = x.shape[0]
    page, kv_heads, dim = k_pages.shape[1], k_pages.shape[2], k_pages.shape[3]
    window = page * table.shape[1]
    heads = outputs(qkv) // dim - 2 * kv_heads
    normed = np.empty_like(x)
    norm_rows(x, attention_norm, normed)
    projected = np.zeros((slots, outputs(qkv)), dtype=np.float32)
    add_product(normed, qkv, projected)
    mixed = np.zeros((slots, heads * dim), dtype=np.float32)
    for b in range(slots):
        if moves[b]:
            row = projected[b].reshape(heads + 2 * kv_heads, dim)
            rotate(row[: heads + kv_heads], cos[b], sin[b])
            cell = position[b] % window
            at = table[b, cell // page]
            k_pages[at, cell % page] = row[heads : heads + kv_heads]
            v_pages[at, cell % page] = row[heads + kv_heads :]
            _attend(row[:heads], k_pages, v_pages, table[b], min(position[b] + 1, window), mixed[b])
    add_product(mixed, out, x)
    mlp_rows(x, mlp_norm, gate_up, down)


@part
def _attend(q: Any, k_pages: Any, v_pages: Any, table: Any, count: int, mixed: Any) -> None:
    """One slot: q ``[heads, head_dim]`` against the first ``count`` rows of its pages ``[R]``, into ``mixed`` [D]."""
    heads, dim = q.shape
    page = k_pages.shape[1]
    group = heads // k_pages.shape[2]
    scale = np.float32(1 / math.sqrt(dim))
    scores = np.empty(count, dtype=np.float32)
    for h in range(heads):
        top = np.float32(-np.inf)
        for first in range(0, count, page):
            keys = k_pages[table[first // page]]
            for u in range(first, min(first + page, count)):
                total = np.float32(0)
                for i in range(dim):
                    total += q[h, i] * keys[u - first, h // group, i]
                scores[u] = total * scale
                top = max(top, scores[u])
        total = np.float32(0)
        for u in range(count):
            scores[u] = exp(scores[u] - top)
            total += scores[u]
        for first in range(0, count, page):
            values = v_pages[table[first // page]]
            for u in range(first, min(first + page, count)):
                weight = scores[u] / total
                for i in range(dim):
                    mixed[h * dim + i] += weight * values[u - first, h // group, i]
