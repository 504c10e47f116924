"""Sliding-window attention over pages. Knows windows and pages; knows nothing of projections, RoPE or slots' owners.

    out[t, h] = Σ_u softmax_u(q[t, h] · k[u, h // G] / sqrt(head_dim)) · v[u, h // G],     p_t - window < u ≤ p_t

with p_t = position + t, 0 ≤ u, G = heads / kv_heads. The new rows' own keys and values were appended before
(`norm_qkv_rope_append`). T = 1 is decoding, T > 1 a chunk of a prefill.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.pages import check_ring, live_rows, locate


def paged_attention(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    window: int,
) -> Tensor:
    """Attend.

    Args:
        q: ``[B, T, heads, head_dim]``.
        k_pages, v_pages: ``[P, page, kv_heads, head_dim]``. Rows outside a query's window may hold anything, NaN too.
        table: ``[B, R]`` int32 or int64; of a slot of length 0 it is not read.
        position: ``[B]`` int64, of each slot's first query.
        length: ``[B]`` int, queries of the slot that count; 0 is an idle slot.
        window: positions seen, own included.

    Returns ``[B, T, heads, head_dim]``, zeros in rows past ``length``. Raises ValueError when the ring is too short for
    the window and T rows.
    """
    check_ring(table, k_pages.shape[1], window, q.shape[1])
    k, v, allowed = gather_window(q, k_pages, v_pages, table, position, length, window)
    group = q.shape[2] // k.shape[2]
    k, v = (x.repeat_interleave(group, 2) for x in (k, v))
    scores = torch.einsum("bthd,buhd->bhtu", q * q.shape[-1] ** -0.5, k)
    weights = scores.masked_fill(~allowed.unsqueeze(1), -torch.inf).softmax(-1).nan_to_num(0.0)
    return torch.einsum("bhtu,buhd->bthd", weights.to(v.dtype), v)


def gather_window(
    q: Tensor, k_pages: Tensor, v_pages: Tensor, table: Tensor, position: Tensor, length: Tensor, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    """All that any of the T queries sees, out of its pages: k and v ``[B, window + T - 1, kv_heads, head_dim]``, zeros
    where nothing was written, and who sees what, ``[B, T, window + T - 1]`` bool."""
    first = position.unsqueeze(1)
    queries = first + torch.arange(q.shape[1], device=q.device)  # [B, T]
    keys = first + torch.arange(1 - window, q.shape[1], device=q.device)  # [B, U]
    written = (keys >= 0) & (keys < first + length.unsqueeze(1))
    written &= (length > 0).unsqueeze(1)
    page, row = locate(table, keys, k_pages.shape[1])
    page = page.masked_fill(~written, 0)  # an idle slot's table may hold anything
    k, v = (x[page, row].masked_fill(~written[:, :, None, None], 0.0) for x in (k_pages, v_pages))
    lag = queries.unsqueeze(2) - keys.unsqueeze(1)
    live = live_rows(length, q.shape[1]).unsqueeze(2)
    return k, v, (lag >= 0) & (lag < window) & written.unsqueeze(1) & live


def cases() -> list[Case]:
    sizes = {"rows": 1, "heads": 8, "kv_heads": 2, "head_dim": 32, "window": 128, "page": 16}
    wide = {**sizes, "head_dim": 64, "window": 256}
    return [
        Case("tiny, one stream", {"slots": 1, **sizes}),
        Case("tiny, 64 streams", {"slots": 64, **sizes}),
        Case("512 streams, window 256, dim 64", {"slots": 512, **wide}),
    ]


def cost(slots: int, rows: int, heads: int, kv_heads: int, head_dim: int, window: int, page: int) -> Cost:
    """With a full window; every page row is read once."""
    return Cost(
        flops=4 * slots * rows * heads * window * head_dim,
        bytes=4 * slots * head_dim * (2 * (window + rows - 1) * kv_heads + 2 * rows * heads),
    )
