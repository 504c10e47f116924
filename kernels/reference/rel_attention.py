"""Causal attention with a bias for each distance and bounded left context: the time attention of a Conformer.

    out[t, h] = Σ_u softmax_u(q[t, h] · k[u, h] / sqrt(head_dim) + distance[h, t - u]) · v[u, h],    t - W < u ≤ t

Keys and values of frames before the chunk are in rings (cell = frame mod W), to which the chunk's are then appended.
Knows frames and tokens; knows nothing of projections.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.pages import live_rows


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
    """Attend, then append.

    Args:
        q, k, v: ``[B, N, T, heads, head_dim]``: N tokens of T new frames.
        key, value: ``[B, N, heads, W, head_dim]`` rings, changed in place; cells never written may hold NaN.
        distance: ``[heads, W]``, bias of a frame so many frames ago.
        position: ``[B]`` int64, frames before the first new one.
        length: ``[B]`` int, how many of the T frames count; 0 is an idle slot, whose rings stay.

    Returns ``[B, N, T, heads, head_dim]``, zeros in frames past ``length``.
    """
    window, frames = key.shape[3], q.shape[2]
    past = position.unsqueeze(1) + torch.arange(-window, 0, device=q.device)  # [B, W]: frames in the ring, oldest first
    known = past >= 0
    cell = (past % window)[:, None, None, :, None].expand(-1, key.shape[1], key.shape[2], -1, key.shape[4])
    hidden = ~known[:, None, None, :, None]
    keys, values = (
        torch.cat((ring.gather(3, cell).masked_fill(hidden, 0.0), new.transpose(2, 3)), 3)
        for ring, new in ((key, k), (value, v))
    )  # [B, N, H, W + T, d]
    live = live_rows(length, frames)
    lag = torch.arange(frames, device=q.device).unsqueeze(1) - torch.arange(-window, frames, device=q.device)
    inside = (lag >= 0) & (lag < window)
    allowed = inside & torch.cat((known, live), 1).unsqueeze(1) & live.unsqueeze(2)  # [B, T, W + T]
    scores = torch.einsum("bnthd,bnhud->bnhtu", q * q.shape[-1] ** -0.5, keys) + distance[:, lag.clamp(0, window - 1)]
    weights = scores.masked_fill(~allowed[:, None, None], -torch.inf).softmax(-1).nan_to_num(0.0)
    values = values.masked_fill(~torch.cat((known, live), 1)[:, None, None, :, None], 0.0)
    _append(key, k, position, length)
    _append(value, v, position, length)
    return torch.einsum("bnhtu,bnhud->bnthd", weights.to(v.dtype), values)


def _append(ring: Tensor, new: Tensor, position: Tensor, length: Tensor) -> None:
    window = ring.shape[3]
    for t in range(new.shape[2]):
        writes = (t < length) & (t >= length - window)
        slot = writes.nonzero().squeeze(1)
        ring[slot, :, :, (position[slot] + t) % window] = new[slot, :, t].to(ring.dtype)


def cases() -> list[Case]:
    sizes = {"tokens": 6, "frames": 1, "heads": 4, "head_dim": 32, "window": 48}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, tokens: int, frames: int, heads: int, head_dim: int, window: int) -> Cost:
    """With full rings."""
    rows, dim = slots * tokens, heads * head_dim
    return Cost(flops=4 * rows * frames * window * dim, bytes=4 * rows * dim * (2 * (window + frames) + 4 * frames))
