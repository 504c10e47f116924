"""Conformer time attention on the CPU. Contract and formula: `kernels.reference.rel_attention`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit
from kernels.numba.parts import array, attend_ring, rows_of


def rel_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key: Tensor,
    value: Tensor,
    distance: Tensor,
    position: Tensor,
    length: Tensor,
) -> Tensor:
    """As :func:`kernels.reference.rel_attention`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("rel_attention", q).reshape(q.shape)
    y = np.zeros_like(rows)
    rings = key.numpy(), value.numpy()
    _frames(rows, array(k), array(v), *rings, array(distance), array(position), array(length), y)
    return torch.from_numpy(y)


@jit
def _frames(
    q: Any,  # [B, N, T, H, d]
    k: Any,
    v: Any,
    key: Any,  # [B, N, H, W, d]
    value: Any,
    distance: Any,  # [H, W]
    position: Any,
    length: Any,
    y: Any,  # [B, N, T, H, d], zeros
) -> None:
    slots, tokens, _, heads, _ = q.shape
    window = key.shape[3]
    for b in range(slots):
        for t in range(length[b]):
            at = (position[b] + t) % window
            count = min(position[b] + t + 1, window)
            for n in range(tokens):
                for h in range(heads):
                    key[b, n, h, at] = k[b, n, t, h]
                    value[b, n, h, at] = v[b, n, t, h]
                    attend_ring(q[b, n, t, h], key[b, n, h], value[b, n, h], distance[h], at, count, y[b, n, t, h])
