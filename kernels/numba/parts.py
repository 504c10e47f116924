"""Norm, gate, MLP, rotation and ring attention inside compiled kernels. Knows rows of float32; no op.

Formulas are in `kernels.reference`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, part
from kernels.numba.exponential import exp
from kernels.numba.matrices import add_product, outputs

_EPS = np.float32(1e-6)


def rows_of(op: str, x: Tensor) -> Any:
    """``[..., D]`` → ``[M, D]`` numbers in C order. Raises TypeError unless float32 on the CPU."""
    if x.dtype != torch.float32 or x.device.type != "cpu":
        raise TypeError(f"{op} of numba takes float32 on the CPU, got {x.dtype} on {x.device}")
    return array(x).reshape(-1, x.shape[-1])


@part
def norm_rows(x: Any, weight: Any, y: Any, eps: Any = _EPS) -> None:
    """y = rms_norm(x) · weight: x and y ``[M, D]``, weight ``[D]``."""
    one = np.float32(1)
    for r in range(x.shape[0]):
        total = np.float32(0)
        for i in range(x.shape[1]):
            total += x[r, i] * x[r, i]
        scale = one / np.float32(math.sqrt(total / np.float32(x.shape[1]) + eps))
        for i in range(x.shape[1]):
            y[r, i] = x[r, i] * scale * weight[i]


@part
def swiglu_rows(gate_up: Any, y: Any) -> None:
    """y = silu(gate) · up: gate_up ``[M, 2·H]``, y ``[M, H]``."""
    half = y.shape[1]
    one = np.float32(1)
    for r in range(y.shape[0]):
        for i in range(half):
            gate = gate_up[r, i]
            y[r, i] = gate / (one + exp(-gate)) * gate_up[r, half + i]


@part
def norm_swiglu_rows(x: Any, norm: Any, gate_up: Any, y: Any, eps: Any = _EPS) -> None:
    """y = swiglu(rms_norm(x) · gate_upᵀ): x ``[M, D]``, y ``[M, H]``."""
    normed = np.empty_like(x)
    norm_rows(x, norm, normed, eps)
    opened = np.zeros((x.shape[0], outputs(gate_up)), dtype=np.float32)
    add_product(normed, gate_up, opened)
    swiglu_rows(opened, y)


@part
def mlp_rows(x: Any, norm: Any, gate_up: Any, down: Any) -> None:
    """x += swiglu(rms_norm(x) · gate_upᵀ) · downᵀ, x ``[M, D]`` in place."""
    hidden = np.empty((x.shape[0], outputs(gate_up) // 2), dtype=np.float32)
    norm_swiglu_rows(x, norm, gate_up, hidden)
    add_product(hidden, down, x)


@part
def rotate(rows: Any, cos: Any, sin: Any) -> None:
    """Rotary embedding in place: rows ``[H, head_dim]``, cos and sin ``[head_dim / 2]``."""
    half = cos.shape[0]
    for h in range(rows.shape[0]):
        for i in range(half):
            first, second = rows[h, i], rows[h, i + half]
            rows[h, i] = first * cos[i] - second * sin[i]
            rows[h, i + half] = second * cos[i] + first * sin[i]


@part
def attend_ring(q: Any, key: Any, value: Any, distance: Any, at: int, count: int, mixed: Any) -> None:
    """One head: q [d] against the ``count`` written cells of a ring [W, d] whose newest is ``at``, into ``mixed``."""
    window, dim = key.shape
    scale = np.float32(1 / math.sqrt(dim))
    scores = np.empty(count, dtype=np.float32)
    top = np.float32(-np.inf)
    for u in range(count):  # cells 0 … count - 1 are the written ones
        total = np.float32(0)
        for i in range(dim):
            total += q[i] * key[u, i]
        age = at - u if u <= at else at - u + window
        scores[u] = total * scale + distance[age]
        top = max(top, scores[u])
    total = np.float32(0)
    for u in range(count):
        scores[u] = exp(scores[u] - top)
        total += scores[u]
    for u in range(count):
        weight = scores[u] / total
        for i in range(dim):
            mixed[i] += weight * value[u, i]
