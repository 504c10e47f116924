"""One layer of a sliding-window transformer on the CPU. Contract and formula: `kernels.reference.temporal_step`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit
from kernels.numba.linear import add_linear
from kernels.numba.parts import array, mlp_rows, norm_rows, rotate
from kernels.reference.layer import LayerWeights


def temporal_step(
    layer: LayerWeights,
    x: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    position: Tensor,
    cos: Tensor,
    sin: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.temporal_step`; float32 CPU tensors only, no gradients, else TypeError."""
    if x.dtype != torch.float32 or x.device.type != "cpu":
        raise TypeError(f"the numba temporal step takes float32 on the CPU, got {x.dtype} on {x.device}")
    rows = x.detach().numpy().copy()
    moves = np.ones(len(rows), dtype=np.bool_) if active is None else active.numpy()
    caches = k_cache.numpy(), v_cache.numpy()
    _layer(rows, *(array(w) for w in layer), *caches, array(position), array(cos), array(sin), moves)
    return torch.from_numpy(rows)


@jit
def _layer(
    x: Any,  # [B, D], changed in place
    attention_norm: Any,
    qkv: Any,
    out: Any,
    mlp_norm: Any,
    gate_up: Any,
    down: Any,
    k_cache: Any,  # [B, W, kv_heads, head_dim]
    v_cache: Any,
    position: Any,  # [B]
    cos: Any,  # [B, head_dim / 2]
    sin: Any,
    moves: Any,  # [B] bool
) -> None:
    slots = x.shape[0]
    window, kv_heads, dim = k_cache.shape[1], k_cache.shape[2], k_cache.shape[3]
    heads = qkv.shape[0] // dim - 2 * kv_heads
    normed = np.empty_like(x)
    norm_rows(x, attention_norm, normed)
    projected = np.zeros((slots, qkv.shape[0]), dtype=np.float32)
    add_linear(normed, qkv, projected)
    mixed = np.zeros((slots, heads * dim), dtype=np.float32)
    for b in range(slots):
        if moves[b]:
            row = projected[b].reshape(heads + 2 * kv_heads, dim)
            rotate(row[: heads + kv_heads], cos[b], sin[b])
            at = position[b] % window
            k_cache[b, at] = row[heads : heads + kv_heads]
            v_cache[b, at] = row[heads + kv_heads :]
            _attend(row[:heads], k_cache[b], v_cache[b], min(position[b] + 1, window), mixed[b])
    add_linear(mixed, out, x)
    mlp_rows(x, mlp_norm, gate_up, down)


@jit
def _attend(q: Any, k_cache: Any, v_cache: Any, count: int, mixed: Any) -> None:
    """One slot: q ``[heads, head_dim]`` against the first ``count`` rows of its ring, into ``mixed`` [D]."""
    heads, dim = q.shape
    group = heads // k_cache.shape[1]
    scale = np.float32(1 / math.sqrt(dim))
    scores = np.empty(count, dtype=np.float32)
    for h in range(heads):
        top = np.float32(-np.inf)
        for u in range(count):
            total = np.float32(0)
            for i in range(dim):
                total += q[h, i] * k_cache[u, h // group, i]
            scores[u] = total * scale
            top = max(top, scores[u])
        total = np.float32(0)
        for u in range(count):
            scores[u] = math.exp(scores[u] - top)
            total += scores[u]
        for u in range(count):
            weight = scores[u] / total
            for i in range(dim):
                mixed[h * dim + i] += weight * v_cache[u, h // group, i]
