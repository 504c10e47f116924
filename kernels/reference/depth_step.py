"""One step of a depth transformer: a few places of a frame through its layers and heads. Knows no order and no stems.

The input of a place of codebook b is ``x + fed · feed[b]ᵀ``. For each layer, over the R places of the step and the
``filled`` places before them (whose keys and values are in ``past``):

    q, k, v = split(norm(x) · qkvᵀ);   past[filled : filled + R] = k, v
    x = x + softmax(q · pastₖᵀ / sqrt(head_dim) + bias) · pastᵥ · outᵀ
    x = x + swiglu(norm(x) · gate_upᵀ) · downᵀ

and then, with y = norm(x), the logits of a place's codebook b:

    b <  len(heads):  y · head[b]ᵀ + bias[b]
    b >= len(heads):  (scale · y · low[b']ᵀ) · vectors[b']ᵀ + bias[b],     b' = b - len(heads)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.layer import LayerWeights
from kernels.reference.rms_norm import rms_norm
from kernels.reference.swiglu import swiglu
from kernels.reference.window_attention import masked_attention


class DepthHeads(NamedTuple):
    """Final norm and one head a codebook: full ones first, then those tied to code vectors."""

    norm: Tensor  # [D]
    head: Tensor  # [codebooks with a full head, K, D]
    low: Tensor  # [tied codebooks, C, D]
    vectors: Tensor  # [tied codebooks, K, C]
    scale: Tensor  # [1], of the code vectors
    bias: Tensor  # [codebooks, K]


class DepthWeights(NamedTuple):
    """Everything the op reads."""

    feed: Tensor  # [codebooks, D, F]
    layers: tuple[LayerWeights, ...]
    heads: DepthHeads


def depth_step(
    weights: DepthWeights,
    x: Tensor,
    fed: Tensor,
    books: tuple[int, ...],
    past: Tensor,
    filled: int,
    bias: Tensor,
) -> Tensor:
    """Logits of the places of one step.

    Args:
        weights: see :class:`DepthWeights`.
        x: ``[N, R, D]``, what the places know from outside.
        fed: ``[N, R, F]``, what was fed back from earlier steps.
        books: R codebooks, consecutive and rising, or all the same.
        past: ``[layers, 2, N, places, heads, head_dim]``, keys and values; this step's are written after ``filled``.
        filled: places emitted in earlier steps. What lies beyond may be anything, NaN too.
        bias: ``[R, filled + R]`` additive mask, 0 or -inf.

    Returns ``[N, R, K]``.
    """
    feed = weights.feed[books[0] : books[-1] + 1]
    x = x + torch.einsum("nrf,rdf->nrd", fed, feed.expand(len(books), -1, -1))
    for layer, rows in zip(weights.layers, past, strict=True):
        x = _layer(layer, x, rows, filled, bias)
    y = rms_norm(x, weights.heads.norm).transpose(0, 1)
    if books[0] == books[-1]:
        return depth_logits(weights.heads, y.unsqueeze(0), books[0]).squeeze(0).transpose(0, 1)
    return depth_logits(weights.heads, y, books[0]).transpose(0, 1)


def depth_logits(heads: DepthHeads, y: Tensor, first: int) -> Tensor:
    """Heads of q consecutive codebooks from ``first`` on: normed ``[q, ..., D]`` → ``[q, ..., K]``."""
    last, full = first + y.shape[0], heads.head.shape[0]
    rows = y.flatten(1, -2)
    parts: list[Tensor] = []
    if first < full:
        split = min(last, full)
        parts.append(torch.bmm(rows[: split - first], heads.head[first:split].transpose(1, 2)))
    if last > full:
        start = max(first, full)
        low = torch.bmm(rows[start - first :], heads.low[start - full : last - full].transpose(1, 2))
        parts.append(torch.bmm(low * heads.scale, heads.vectors[start - full : last - full].transpose(1, 2)))
    logits = torch.cat(parts) + heads.bias[first:last].unsqueeze(1)
    return logits.unflatten(1, y.shape[1:-1])


def _layer(layer: LayerWeights, x: Tensor, past: Tensor, filled: int, bias: Tensor) -> Tensor:
    heads, dim = past.shape[-2:]
    rows = (rms_norm(x, layer.attention_norm) @ layer.qkv.T).unflatten(-1, (3, heads, dim))
    end = filled + x.shape[1]
    past[:, :, filled:end] = rows[:, :, 1:].permute(2, 0, 1, 3, 4)
    mixed = masked_attention(rows[:, :, 0], past[0, :, :end], past[1, :, :end], bias)
    x = x + mixed.flatten(-2) @ layer.out.T
    return x + swiglu(rms_norm(x, layer.mlp_norm) @ layer.gate_up.T) @ layer.down.T


def cases() -> list[Case]:
    sizes = {"rows": 4, "filled": 6, "dim": 192, "hidden": 320, "layers": 2, "codes": 512}
    return [Case("tiny, one stream", {"frames": 1, **sizes}), Case("tiny, 64 streams", {"frames": 64, **sizes})]


def cost(frames: int, rows: int, filled: int, dim: int, hidden: int, layers: int, codes: int) -> Cost:
    """Of a step whose rows have different full heads."""
    weights = layers * (4 * dim * dim + 3 * dim * hidden)
    heads = rows * codes * dim
    attention = 2 * layers * rows * (filled + rows) * dim
    return Cost(flops=2 * frames * (rows * weights + heads + attention), bytes=4 * (weights + heads))
