"""One layer of a sliding-window transformer for one position a slot. Knows one layer; knows nothing of its input.

    q, k, v = split(rms_norm(x) · qkvᵀ);   q, k = rope(q), rope(k);   cache[position mod W] = k, v   (active slots)
    x = x + window_attention_step(q, cache) · outᵀ
    x = x + swiglu(rms_norm(x) · gate_upᵀ) · downᵀ

Caches and masks are those of `kernels.reference.window_attention`.
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.layer import LayerWeights
from kernels.reference.rms_norm import rms_norm
from kernels.reference.rope import apply_rope
from kernels.reference.swiglu import swiglu
from kernels.reference.window_attention import ring_append, window_attention_step


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
    """Advance one layer.

    Args:
        layer: see :class:`LayerWeights`.
        x: ``[B, D]``.
        k_cache, v_cache: ``[B, W, kv_heads, head_dim]``, changed in place for active slots. Rows never written may hold
            anything, NaN too.
        position: ``[B]`` int64.
        cos, sin: ``[B, head_dim / 2]`` of the positions.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, D]``.
    """
    kv_heads, dim = k_cache.shape[2:]
    heads = layer.qkv.shape[0] // dim - 2 * kv_heads
    rows = (rms_norm(x, layer.attention_norm) @ layer.qkv.T).unflatten(-1, (-1, dim))
    q, k, v = rows.split((heads, kv_heads, kv_heads), dim=1)
    q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
    ring_append(k_cache, k, position, active)
    ring_append(v_cache, v, position, active)
    x = x + window_attention_step(q, k_cache, v_cache, position).flatten(1) @ layer.out.T
    return x + swiglu(rms_norm(x, layer.mlp_norm) @ layer.gate_up.T) @ layer.down.T


def cases() -> list[Case]:
    sizes = {"dim": 256, "hidden": 448, "heads": 8, "kv_heads": 2, "window": 128}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, dim: int, hidden: int, heads: int, kv_heads: int, window: int) -> Cost:
    """Of one layer with a full window."""
    kv_dim = dim // heads * kv_heads
    weights = 2 * dim * (dim + kv_dim) + 3 * dim * hidden
    return Cost(
        flops=2 * slots * (weights + 2 * window * dim),
        bytes=4 * (weights + slots * 2 * window * kv_dim),
    )
