"""All codes of a frame on the CPU, in one compiled call. Contract and formula: `kernels.reference.depth_decode`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit, part
from kernels.numba.exponential import exp
from kernels.numba.kept import Kept, smallest_matrices
from kernels.numba.linear import add_linear, add_rows
from kernels.numba.matrices import add_product, numbers, outputs, pick, smallest
from kernels.numba.parts import array, mlp_rows, norm_rows
from kernels.numba.sample import NOTHING, choose, uniform
from kernels.reference.depth_decode import Choice, DepthPlan, Emitted
from kernels.reference.depth_step import DepthWeights

_NOTHING_FORCED = np.zeros((0, 0), np.int64)


def depth_decode(
    weights: DepthWeights,
    heads: int,
    vectors: Tensor,
    scale: Tensor,
    plan: DepthPlan,
    known: Tensor,
    choice: Choice,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    forced: Tensor | None = None,
) -> Emitted:
    """As :func:`kernels.reference.depth_decode`; float32 CPU tensors only, no gradients.

    Raises TypeError for other tensors.
    """
    if known.dtype != torch.float32 or known.device.type != "cpu":
        raise TypeError(f"the numba depth chain takes float32 on the CPU, got {known.dtype} on {known.device}")
    if choice.temperature > 0 and forced is None and (seed is None or frame is None):
        raise ValueError("sampling with temperature > 0 needs a seed for every slot")
    frames, places, _ = known.shape
    codes = np.empty((frames, places), np.int64)
    logits = np.empty((frames, places, vectors.shape[1]), np.float32)
    ends = np.cumsum(np.array([len(books) for books in plan.books]))
    _chain(
        *_kept(weights),
        heads,
        array(vectors),
        array(scale),
        ends,
        tuple(array(each) for each in (plan.place, plan.book, plan.fed, plan.emits, plan.scale, plan.counter)),
        array(plan.bias),
        array(known),
        (float(choice.temperature), int(choice.top_k), bool(choice.soft)),
        NOTHING if seed is None else array(seed),
        NOTHING if frame is None else array(frame),
        _NOTHING_FORCED if forced is None else array(forced),
        np.zeros((frames, plan.latents, vectors.shape[2]), np.float32),
        codes,
        logits,
    )
    return Emitted(torch.from_numpy(codes), torch.from_numpy(logits))


def _smallest(weights: DepthWeights) -> tuple[Any, ...]:
    # Compiled code goes through the layers in a loop: their matrices must be of one kind.
    found = iter(smallest([w for layer in weights.layers for w in layer if _is_matrix(w)]))
    layers = tuple(tuple(next(found) if _is_matrix(w) else numbers(w) for w in layer) for layer in weights.layers)
    return numbers(weights.feed), layers, smallest_matrices(weights.heads, keep=_NO_MATRIX)


def _is_matrix(weight: Any) -> bool:
    return isinstance(weight, Tensor) and weight.dim() > 1


_NO_MATRIX = ("low", "vectors", "bias")
_kept: Kept[DepthWeights, Any] = Kept(_smallest)


@jit
def _chain(
    feed: Any,  # [Q, D, F]
    layers: Any,  # tuple of LayerWeights' arrays
    head_weights: Any,  # DepthHeads' arrays
    heads: int,
    vectors: Any,  # [Q, K, C]
    scales: Any,  # [2]
    ends: Any,  # [steps]: places emitted after each step
    indices: Any,  # DepthPlan's arrays
    bias: Any,  # [L, L]
    known: Any,  # [N, L, D]
    choice: Any,
    seed: Any,
    frame: Any,
    forced: Any,
    latent: Any,  # [N, latents, C], zeros
    codes: Any,  # [N, L]
    logits: Any,  # [N, L, K]
) -> None:
    place, book, fed, emits, scale, counter = indices
    temperature, top_k, soft = choice
    frames, places, dim = known.shape
    width = vectors.shape[2]
    past = np.empty((len(layers), 2, frames, places, heads, dim // heads), np.float32)
    filled = 0
    for end in ends:
        count = end - filled
        x = np.empty((frames * count, dim), np.float32)
        entering = np.empty((1, 2 * width), np.float32)
        for n in range(frames):
            for r in range(count):
                row, at = n * count + r, filled + r
                x[row] = known[n, place[at]]
                entering[0, :width] = latent[n, fed[at, 0]]
                entering[0, width:] = latent[n, fed[at, 1]]
                add_linear(entering, feed[book[at]], x[row : row + 1])
        for i in range(len(layers)):
            _layer(x, layers[i], past[i], filled, bias[filled:end, :end])
        out = np.empty((frames, count, logits.shape[2]), np.float32)
        _heads(x, head_weights, book[filled:end], out)
        for n in range(frames):
            for r in range(count):
                at = filled + r
                row = out[n, r]
                logits[n, place[at]] = row
                if forced.shape[0] > 0:
                    code = forced[n, place[at]]
                elif temperature > 0:
                    code = choose(row, temperature, top_k, uniform(seed[n], frame[n], counter[at]))
                else:
                    code = choose(row, 0.0, 0, 0.0)
                codes[n, place[at]] = code
                if soft:
                    _add_mean(row, vectors[book[at]], scales[scale[at]], latent[n, emits[at]])
                else:
                    for i in range(width):
                        latent[n, emits[at], i] += vectors[book[at], code, i] * scales[scale[at]]
        filled = end


@part
def _add_mean(logits: Any, table: Any, scale: Any, latent: Any) -> None:
    """latent [C] += scale · Σ_k softmax(logits)_k · table[k]."""
    top = logits[0]
    for k in range(logits.shape[0]):
        top = max(top, logits[k])
    weight = np.empty((1, logits.shape[0]), np.float32)
    total = np.float32(0)
    for k in range(logits.shape[0]):
        weight[0, k] = exp(logits[k] - top)
        total += weight[0, k]
    mean = np.zeros((1, table.shape[1]), np.float32)
    add_rows(weight, table, mean)
    for i in range(table.shape[1]):
        latent[i] += mean[0, i] / total * scale


@part
def _layer(
    x: Any,  # [N·R, D], changed in place
    layer: Any,
    past: Any,  # [2, N, places, heads, head_dim]
    filled: int,
    bias: Any,  # [R, filled + R]
) -> None:
    attention_norm, qkv, out, mlp_norm, gate_up, down = layer
    normed = np.empty_like(x)
    norm_rows(x, attention_norm, normed)
    projected = np.zeros((x.shape[0], outputs(qkv)), dtype=np.float32)
    add_product(normed, qkv, projected)
    mixed = np.zeros_like(x)
    _attend(projected, past, filled, bias, mixed)
    add_product(mixed, out, x)
    mlp_rows(x, mlp_norm, gate_up, down)


@part
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
                    scores[u] = exp(scores[u] - top)
                    total += scores[u]
                for u in range(end):
                    weight = scores[u] / total
                    for i in range(dim):
                        mixed[row, h * dim + i] += weight * past[1, n, u, h, i]


@part
def _heads(x: Any, weights: Any, books: Any, logits: Any) -> None:
    """x ``[N·R, D]`` → logits ``[N, R, K]`` of the places' codebooks."""
    norm, head, low, vectors, scale, bias = weights
    frames, places, _ = logits.shape
    full = outputs(head)
    normed = np.empty_like(x)
    norm_rows(x, norm, normed)
    rows = np.empty((frames, x.shape[1]), dtype=np.float32)
    out = np.empty((frames, logits.shape[2]), dtype=np.float32)
    for r in range(places):
        for n in range(frames):
            rows[n] = normed[n * places + r]
            out[n] = bias[books[r]]
        if books[r] < full:
            add_product(rows, pick(head, books[r]), out)
        else:
            latent = np.zeros((frames, low.shape[1]), dtype=np.float32)
            add_linear(rows, low[books[r] - full], latent)
            add_linear(latent * scale[0], vectors[books[r] - full], out)
        logits[:, r] = out
