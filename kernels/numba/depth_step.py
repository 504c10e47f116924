"""One step of a depth transformer on the CPU. Contract, formula and shapes: `kernels.reference.depth_step`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit
from kernels.numba.linear import add_linear
from kernels.numba.parts import array, mlp_rows, norm_rows
from kernels.reference.depth_step import DepthWeights


def depth_step(
    weights: DepthWeights,
    x: Tensor,
    fed: Tensor,
    books: tuple[int, ...],
    past: Tensor,
    filled: int,
    bias: Tensor,
) -> Tensor:
    """As :func:`kernels.reference.depth_step`; float32 CPU tensors only, no gradients.

    Raises TypeError for other tensors.
    """
    if x.dtype != torch.float32 or x.device.type != "cpu":
        raise TypeError(f"the numba depth step takes float32 on the CPU, got {x.dtype} on {x.device}")
    frames, places, dim = x.shape
    rows = x.detach().numpy().reshape(frames * places, dim).copy()
    numbers = np.array(books)
    _feed(array(fed), array(weights.feed), numbers, rows)
    mask, cache = array(bias), past.detach().numpy()
    for i, layer in enumerate(weights.layers):
        _layer(rows, *(array(w) for w in layer), cache[i], filled, mask)
    heads = weights.heads
    logits = np.empty((places, frames, heads.bias.shape[1]), dtype=np.float32)
    _heads(rows, *(array(w) for w in heads), numbers, logits)
    return torch.from_numpy(logits).transpose(0, 1)


@jit
def _feed(fed: Any, weight: Any, books: Any, rows: Any) -> None:
    """Add what every place was fed: fed ``[N, R, F]``, weight ``[Q, D, F]``, rows ``[N·R, D]``."""
    frames, places, _ = fed.shape
    for n in range(frames):
        for r in range(places):
            add_linear(fed[n, r : r + 1], weight[books[r]], rows[n * places + r : n * places + r + 1])


@jit
def _layer(
    x: Any,  # [N·R, D], changed in place
    attention_norm: Any,
    qkv: Any,
    out: Any,
    mlp_norm: Any,
    gate_up: Any,
    down: Any,
    past: Any,  # [2, N, places, heads, head_dim]
    filled: int,
    bias: Any,  # [R, filled + R]
) -> None:
    normed = np.empty_like(x)
    norm_rows(x, attention_norm, normed)
    projected = np.zeros((x.shape[0], qkv.shape[0]), dtype=np.float32)
    add_linear(normed, qkv, projected)
    mixed = np.zeros_like(x)
    _attend(projected, past, filled, bias, mixed)
    add_linear(mixed, out, x)
    mlp_rows(x, mlp_norm, gate_up, down)


@jit
def _attend(projected: Any, past: Any, filled: int, bias: Any, mixed: Any) -> None:
    """Append keys and values of ``projected`` [N·R, 3·D], then mix values into ``mixed`` [N·R, D]."""
    _, frames, _, heads, dim = past.shape
    places, end = bias.shape
    width = heads * dim
    scale = np.float32(1 / math.sqrt(dim))
    scores = np.empty(end, dtype=np.float32)
    for n in range(frames):
        for r in range(places):
            row = n * places + r
            for h in range(heads):
                for i in range(dim):
                    past[0, n, filled + r, h, i] = projected[row, width + h * dim + i]
                    past[1, n, filled + r, h, i] = projected[row, 2 * width + h * dim + i]
        for r in range(places):
            row = n * places + r
            for h in range(heads):
                top = np.float32(-np.inf)
                for u in range(end):
                    total = np.float32(0)
                    for i in range(dim):
                        total += projected[row, h * dim + i] * past[0, n, u, h, i]
                    scores[u] = total * scale + bias[r, u]
                    top = max(top, scores[u])
                total = np.float32(0)
                for u in range(end):
                    scores[u] = math.exp(scores[u] - top)
                    total += scores[u]
                for u in range(end):
                    weight = scores[u] / total
                    for i in range(dim):
                        mixed[row, h * dim + i] += weight * past[1, n, u, h, i]


@jit
def _heads(
    x: Any,  # [N·R, D]
    norm: Any,
    head: Any,
    low: Any,
    vectors: Any,
    scale: Any,
    bias: Any,
    books: Any,
    logits: Any,  # [R, N, K]
) -> None:
    places, frames, _ = logits.shape
    full = head.shape[0]
    normed = np.empty_like(x)
    norm_rows(x, norm, normed)
    rows = np.empty((frames, x.shape[1]), dtype=np.float32)
    for r in range(places):
        for n in range(frames):
            rows[n] = normed[n * places + r]
            logits[r, n] = bias[books[r]]
        if books[r] < full:
            add_linear(rows, head[books[r]], logits[r])
        else:
            latent = np.zeros((frames, low.shape[1]), dtype=np.float32)
            add_linear(rows, low[books[r] - full], latent)
            add_linear(latent * scale[0], vectors[books[r] - full], logits[r])
