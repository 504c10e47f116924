"""What a layer does before attention. Knows rows and pages; knows nothing of windows.

    q, k, v = split(rms_norm(x) · qkvᵀ);   q, k = rope(q), rope(k);   pages[position + t] = k, v      for t < length

RoPE's phase is an integer (`kernels.reference.rope`); where a position lies: `kernels.reference.pages`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.pages import live_rows, locate
from kernels.reference.rms_norm import EPS, rms_norm
from kernels.reference.rope import apply_rope, rope_rotation


def norm_qkv_rope_append(
    x: Tensor,
    norm: Tensor,
    qkv: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    frequencies: Tensor,
    eps: float = EPS,
) -> Tensor:
    """Project, rotate, and append keys and values.

    Args:
        x: ``[B, T, D]``: T new rows a slot.
        norm: ``[D]``; qkv: ``[(heads + 2·kv_heads)·head_dim, D]``.
        k_pages, v_pages: ``[P, page, kv_heads, head_dim]``, changed in place.
        table: ``[B, R]`` int32 or int64 page ids; of a slot of length 0 it is not read.
        position: ``[B]`` int64, of each slot's first new row.
        length: ``[B]`` int, how many of its T rows count; 0 is an idle slot.
        frequencies: ``[head_dim / 2]`` int64, see ``rope_frequencies``.

    Returns q ``[B, T, heads, head_dim]``; rows past ``length`` hold anything.
    """
    kv_heads, dim = k_pages.shape[2:]
    heads = qkv.shape[0] // dim - 2 * kv_heads
    rows = (rms_norm(x, norm, eps) @ qkv.T).unflatten(-1, (-1, dim))
    q, k, v = rows.split((heads, kv_heads, kv_heads), dim=2)
    at = position.unsqueeze(1) + torch.arange(x.shape[1], device=x.device)
    cos, sin = (part.to(x.dtype) for part in rope_rotation(at, frequencies, x.dtype == torch.float64))
    live = live_rows(length, x.shape[1])
    page, row = (index[live] for index in locate(table, at, k_pages.shape[1]))
    k_pages[page, row] = apply_rope(k, cos, sin)[live].to(k_pages.dtype)
    v_pages[page, row] = v[live].to(v_pages.dtype)
    return apply_rope(q, cos, sin)


def cases() -> list[Case]:
    sizes = {"rows": 1, "dim": 256, "heads": 8, "kv_heads": 2, "head_dim": 32}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, rows: int, dim: int, heads: int, kv_heads: int, head_dim: int) -> Cost:
    out = (heads + 2 * kv_heads) * head_dim
    return Cost(flops=2 * slots * rows * dim * out, bytes=4 * (dim * out + slots * rows * (dim + out)))
