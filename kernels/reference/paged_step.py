"""One layer of a sliding-window transformer whose keys and values lie in pages. Knows one layer; not whose pages.

`temporal_step`, but position p of a slot lies in page ``table[slot, p // page mod R]``, row ``p mod page``, and the R
pages of a slot hold exactly its window: a row is written over by the one that pushes it out of the window.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.layer import LayerWeights
from kernels.reference.temporal_step import cases, cost
from kernels.reference.temporal_step import temporal_step as contiguous

__all__ = ["cases", "cost", "paged_step"]


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
        # The others write what an active slot writes, or, where there is none, what is there already: to pick the
        # active ones would need their number on the host, and a captured graph cannot wait for it.
        source = torch.where(active, slot, active.long().argmax())
        at, row = at[source], row[source]
        mask = active[source][:, None, None]
        k, v = torch.where(mask, k[source], k_pages[at, row]), torch.where(mask, v[source], v_pages[at, row])
    k_pages[at, row], v_pages[at, row] = k, v
    return y
