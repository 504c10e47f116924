"""Windowed attention over pages by SDPA, out of gathered pages. Contract: `kernels.reference.paged_attention`."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from kernels.reference.paged_attention import gather_window
from kernels.reference.pages import check_ring, live_rows


def paged_attention(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    window: int,
) -> Tensor:
    """As :func:`kernels.reference.paged_attention`; the copy of the window costs as much as reading it."""
    check_ring(table, k_pages.shape[1], window, q.shape[1])
    k, v, allowed = gather_window(q, k_pages, v_pages, table, position, length, window)
    live = live_rows(length, q.shape[1])
    mask = (allowed | ~live.unsqueeze(2)).unsqueeze(1)  # a row that sees nothing would be NaN
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    y = scaled_dot_product_attention(q, k, v, mask, enable_gqa=True).transpose(1, 2)
    return y.masked_fill(~live[:, :, None, None], 0.0)
