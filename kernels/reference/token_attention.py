"""Attention among the tokens of each frame, without a mask. Knows heads and tokens; knows nothing of time.

out[n, h] = Σ_u softmax_u(q[n, h] · k[u, h] / sqrt(head_dim)) · v[u, h]
"""

from __future__ import annotations

from torch import Tensor

from kernels.reference.case import Case, Cost


def token_attention(qkv: Tensor) -> Tensor:
    """qkv ``[B, N, 3, heads, head_dim]``: queries, keys, values of N tokens a frame → ``[B, N, heads, head_dim]``."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [B, heads, N, head_dim]
    return ((q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v).transpose(1, 2)


def cases() -> list[Case]:
    sizes = {"tokens": 8, "heads": 4, "head_dim": 32}
    return [Case("tiny, one stream", {"frames": 1, **sizes}), Case("tiny, 64 streams", {"frames": 64, **sizes})]


def cost(frames: int, tokens: int, heads: int, head_dim: int) -> Cost:
    rows = frames * tokens * heads
    return Cost(flops=4 * rows * tokens * head_dim, bytes=4 * 4 * rows * head_dim)
