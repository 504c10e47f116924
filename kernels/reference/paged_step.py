"""One layer of a sliding-window transformer whose keys and values lie in pages. Knows one layer; not whose pages.

`temporal_step`, but position p of a slot lies in page ``table[slot, p // page mod R]``, row ``p mod page``, and the R
pages of a slot hold exactly its window: a row is written over by the one that pushes it out of the window.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference import temporal_step as contiguous
from kernels.reference.case import Case, Cost
from kernels.reference.layer import LayerWeights


def paged_step(
    layer: LayerWeights,
    x: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    cos: Tensor,
    sin: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """Advance one layer.

    Args:
        layer: see :class:`LayerWeights`.
        x: ``[B, D]``.
        k_pages, v_pages: ``[P, page, kv_heads, head_dim]``, changed in place for active slots. Rows never written may
            hold anything, NaN too.
        table: ``[B, R]`` int64 page ids, R · page the window; those of other slots must be valid, and mean nothing.
        position: ``[B]`` int64.
        cos, sin: ``[B, head_dim / 2]`` of the positions.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, D]``.
    """
    k, v = k_pages[table].flatten(1, 2), v_pages[table].flatten(1, 2)  # [B, W, kv_heads, head_dim]
    y = contiguous(layer, x, k, v, position, cos, sin, active)
    slot, cell, page = torch.arange(len(x), device=x.device), position % k.shape[1], k_pages.shape[1]
    at, row = table[slot, cell // page], cell % page
    k, v = k[slot, cell], v[slot, cell]
    if active is not None:
        at, row, k, v = at[active], row[active], k[active], v[active]
    k_pages[at, row], v_pages[at, row] = k, v
    return y


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
