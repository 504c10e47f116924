"""Sliding-window attention with grouped queries. Knows windows and ring caches; knows nothing of projections or RoPE.

    out[t, h] = Σ_u softmax_u(q[t, h] · k[u, h // G] / sqrt(head_dim)) · v[u, h // G],      t - window < u ≤ t

with G = heads / kv_heads. The full-sequence form is plain matmul: on CPUs its backward beats the fused kernel.

The ring cache of a stream, W = 4, after position 5 was written (row = position mod W; `x` = older than the window):

    row        0    1    2    3
    position   4    5    2    3        all valid.       After position 1:    0    1    x    x
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


def window_bias(queries: int, keys: int, window: int, device: torch.device | str = "cpu") -> Tensor:
    """Additive mask ``[queries, keys]`` float32: 0 where a query may look, else -inf. The last of both coincide."""
    t = torch.arange(keys - queries, keys, device=device).unsqueeze(1)
    u = torch.arange(keys, device=device).unsqueeze(0)
    bias = torch.zeros(queries, keys, device=device)
    return bias.masked_fill_((u > t) | (u <= t - window), -torch.inf)


def masked_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention under an additive mask, by plain matmul.

    Args:
        q: ``[B, T, heads, head_dim]``.
        k, v: ``[B, U, kv_heads, head_dim]``; heads is a multiple of kv_heads.
        bias: broadcastable to ``[B, 1, 1, T, U]``; every query needs one key that is not masked.

    Returns ``[B, T, heads, head_dim]``.
    """
    batch, length, heads, dim = q.shape
    keys, kv_heads = k.shape[1], k.shape[2]
    group = heads // kv_heads
    rows = q.reshape(batch, length, kv_heads, group, dim).permute(0, 2, 3, 1, 4)
    rows = rows.reshape(batch, kv_heads, group * length, dim)
    scores = (rows * dim**-0.5) @ k.permute(0, 2, 3, 1)
    scores = scores.view(batch, kv_heads, group, length, keys) + bias.to(scores.dtype)
    weights = scores.softmax(-1).view(batch, kv_heads, group * length, keys)
    mixed = weights.to(v.dtype) @ v.permute(0, 2, 1, 3)
    return mixed.view(batch, kv_heads, group, length, dim).permute(0, 3, 1, 2, 4).reshape(batch, length, heads, dim)


def window_attention(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Causal attention of every position to itself and the ``window - 1`` before it.

    Args:
        q: ``[B, T, heads, head_dim]``.
        k, v: ``[B, T, kv_heads, head_dim]``.
        window: positions seen, own included; at least 1.

    Returns ``[B, T, heads, head_dim]``. Cost and memory grow with T · window, not with T².
    """
    length = q.shape[1]
    if length <= 2 * window:
        return masked_attention(q, k, v, window_bias(length, length, window, q.device))
    return _blocked(q, k, v, window)


def _blocked(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Blocks of ``window`` queries, each against its own and the block before."""
    batch, length, heads, dim = q.shape
    blocks = -(-length // window)
    pad = blocks * window - length
    q, k, v = (torch.nn.functional.pad(x, (0, 0, 0, 0, 0, pad)) for x in (q, k, v))
    first = slice(0, window)
    head = masked_attention(q[:, first], k[:, first], v[:, first], window_bias(window, window, window, q.device))

    def pairs(x: Tensor) -> Tensor:
        split = x.view(batch, blocks, window, x.shape[2], dim)
        return torch.cat((split[:, :-1], split[:, 1:]), dim=2).flatten(0, 1)

    later = q[:, window:].reshape(batch * (blocks - 1), window, heads, dim)
    rest = masked_attention(later, pairs(k), pairs(v), window_bias(window, 2 * window, window, q.device))
    rest = rest.reshape(batch, (blocks - 1) * window, heads, dim)
    return torch.cat((head, rest), dim=1)[:, :length]


def ring_append(cache: Tensor, row: Tensor, position: Tensor, active: Tensor | None = None) -> None:
    """Write one row a slot into its ring, in place.

    Args:
        cache: ``[B, W, kv_heads, head_dim]``.
        row: ``[B, kv_heads, head_dim]``, written at ``position`` mod W.
        position: ``[B]`` int64.
        active: ``[B]`` bool; the others keep their cache. All when None.
    """
    slots = torch.arange(cache.shape[0], device=cache.device)
    index = position % cache.shape[1]
    if active is not None:
        row = torch.where(active.view(-1, 1, 1), row.to(cache.dtype), cache[slots, index])
    cache[slots, index] = row.to(cache.dtype)


def window_attention_step(q: Tensor, k_cache: Tensor, v_cache: Tensor, position: Tensor) -> Tensor:
    """One position a slot against its ring cache, into which its own key and value were already appended.

    Args:
        q: ``[B, heads, head_dim]``.
        k_cache, v_cache: ``[B, W, kv_heads, head_dim]``; W is the window. Rows never written may hold NaN.
        position: ``[B]`` int64, of the query.

    Returns ``[B, heads, head_dim]``.
    """
    batch, heads, dim = q.shape
    window, kv_heads = k_cache.shape[1], k_cache.shape[2]
    valid = torch.arange(window, device=q.device) <= position.unsqueeze(1)  # [B, W]
    values = v_cache.masked_fill(~valid[:, :, None, None], 0.0)  # 0 · NaN of a stale row would poison the sum
    rows = (q * dim**-0.5).view(batch, kv_heads, heads // kv_heads, dim)
    scores = rows @ k_cache.permute(0, 2, 3, 1)
    weights = scores.masked_fill(~valid[:, None, None, :], -torch.inf).softmax(-1)
    return (weights.to(values.dtype) @ values.permute(0, 2, 1, 3)).reshape(batch, heads, dim)


def cases() -> list[Case]:
    return [
        Case("tiny step", {"batch": 1, "heads": 8, "kv_heads": 2, "head_dim": 32, "window": 128}),
        Case("512 streams", {"batch": 512, "heads": 8, "kv_heads": 2, "head_dim": 32, "window": 128}),
    ]


def cost(batch: int, heads: int, kv_heads: int, head_dim: int, window: int) -> Cost:
    """Of one step with a full window."""
    return Cost(
        flops=4 * batch * heads * window * head_dim,
        bytes=4 * batch * head_dim * (2 * window * kv_heads + 2 * heads),
    )
