"""One block of a band-split Conformer on the CPU. Contract and formula: `kernels.reference.conformer_step`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit, part
from kernels.numba.exponential import exp
from kernels.numba.kept import Kept, smallest_matrices
from kernels.numba.matrices import add_product, outputs
from kernels.numba.parts import array, attend_ring, mlp_rows, norm_rows
from kernels.reference.conformer_step import ConformerWeights


def conformer_step(
    weights: ConformerWeights,
    x: Tensor,
    key: Tensor,
    value: Tensor,
    past: Tensor,
    position: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.conformer_step`; float32 CPU tensors only, no gradients, else TypeError."""
    if x.dtype != torch.float32 or x.device.type != "cpu":
        raise TypeError(f"the numba Conformer step takes float32 on the CPU, got {x.dtype} on {x.device}")
    rows = x.detach().numpy().reshape(-1, x.shape[-1]).copy()
    moves = np.ones(len(x), dtype=np.bool_) if active is None else active.numpy()
    _block(rows, _kept(weights), key.numpy(), value.numpy(), past.numpy(), array(position), moves)
    return torch.from_numpy(rows.reshape(x.shape))


_kept: Kept[ConformerWeights, Any] = Kept(partial(smallest_matrices, keep=("distance", "depthwise")))


@jit
def _block(
    rows: Any,  # [B·N, D], changed in place
    weights: Any,  # of a ConformerWeights
    key: Any,  # [B, N, H, W, d], changed in place
    value: Any,
    past: Any,  # [B, N, K - 1, D], changed in place
    position: Any,  # [B]
    moves: Any,  # [B] bool
) -> None:
    (
        first_norm, first_up, first_down,
        time_norm, time_qkv, time_out, distance,
        conv_norm, conv_up, depthwise, inner_norm, conv_down,
        bands_norm, bands_qkv, bands_out,
        second_norm, second_up, second_down,
    ) = weights  # fmt: skip
    mlp_rows(rows, first_norm, first_up, first_down)
    _time(rows, time_norm, time_qkv, time_out, key, value, distance, position, moves)
    _convolution(rows, conv_norm, conv_up, depthwise, inner_norm, conv_down, past, moves)
    _bands(rows, bands_norm, bands_qkv, bands_out, key.shape[1], key.shape[2])
    mlp_rows(rows, second_norm, second_up, second_down)


@part
def _opened(rows: Any, norm: Any, weight: Any) -> Any:
    """rms_norm(rows) · weightᵀ."""
    normed = np.empty_like(rows)
    norm_rows(rows, norm, normed)
    y = np.zeros((rows.shape[0], outputs(weight)), dtype=np.float32)
    add_product(normed, weight, y)
    return y


@part
def _time(
    rows: Any,  # [B·N, D], changed in place
    norm: Any,
    qkv: Any,
    out: Any,
    key: Any,  # [B, N, H, W, d]
    value: Any,
    distance: Any,  # [H, W]
    position: Any,  # [B]
    moves: Any,  # [B] bool
) -> None:
    slots, tokens, heads, window, dim = key.shape
    width = heads * dim
    projected = _opened(rows, norm, qkv)
    mixed = np.zeros((slots * tokens, width), dtype=np.float32)
    for b in range(slots):
        if not moves[b]:
            continue
        at = position[b] % window
        count = min(position[b] + 1, window)
        for n in range(tokens):
            row = projected[b * tokens + n]
            for h in range(heads):
                first = h * dim
                key[b, n, h, at] = row[width + first : width + first + dim]
                value[b, n, h, at] = row[2 * width + first : 2 * width + first + dim]
                attend_ring(
                    row[first : first + dim],
                    key[b, n, h],
                    value[b, n, h],
                    distance[h],
                    at,
                    count,
                    mixed[b * tokens + n, first : first + dim],
                )
    add_product(mixed, out, rows)


@part
def _convolution(
    rows: Any,  # [B·N, D], changed in place
    norm: Any,
    up: Any,
    depthwise: Any,  # [K, D]
    inner_norm: Any,
    down: Any,
    past: Any,  # [B, N, K - 1, D]
    moves: Any,
) -> None:
    tokens, before, dim = past.shape[1], past.shape[2], past.shape[3]
    one = np.float32(1)
    opened = _opened(rows, norm, up)
    y = np.empty_like(rows)
    for r in range(rows.shape[0]):
        b, n = r // tokens, r % tokens
        for i in range(dim):
            h = opened[r, i] / (one + exp(-opened[r, dim + i]))
            total = h * depthwise[before, i]
            for k in range(before):
                total += past[b, n, k, i] * depthwise[k, i]
            y[r, i] = total
            if moves[b]:
                for k in range(before - 1):
                    past[b, n, k, i] = past[b, n, k + 1, i]
                if before:
                    past[b, n, before - 1, i] = h
    hidden = np.empty_like(rows)
    norm_rows(y, inner_norm, hidden)
    for r in range(rows.shape[0]):
        for i in range(dim):
            hidden[r, i] = hidden[r, i] / (one + exp(-hidden[r, i]))
    add_product(hidden, down, rows)


@part
def _bands(rows: Any, norm: Any, qkv: Any, out: Any, tokens: int, heads: int) -> None:
    """Attention among the tokens of each slot; rows [B·N, D] in place."""
    count, width = rows.shape
    dim = width // heads
    scale = np.float32(1 / math.sqrt(dim))
    projected = _opened(rows, norm, qkv)
    mixed = np.zeros_like(rows)
    scores = np.empty(tokens, dtype=np.float32)
    for r in range(count):
        start = r // tokens * tokens
        for h in range(heads):
            first = h * dim
            top = np.float32(-np.inf)
            for u in range(tokens):
                total = np.float32(0)
                for i in range(first, first + dim):
                    total += projected[r, i] * projected[start + u, width + i]
                scores[u] = total * scale
                top = max(top, scores[u])
            total = np.float32(0)
            for u in range(tokens):
                scores[u] = exp(scores[u] - top)
                total += scores[u]
            for u in range(tokens):
                weight = scores[u] / total
                for i in range(first, first + dim):
                    mixed[r, i] += weight * projected[start + u, 2 * width + i]
    add_product(mixed, out, rows)
