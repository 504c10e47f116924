"""Windowed attention over pages in Triton. Contract and formula: `kernels.reference.paged_attention`.

    program (set of kv heads and tile of packed rows, slot, split)     rows = T queries × the heads that read the set

Heads are packed into the rows of one product, so keys and values are read once. While they do not fill its 16 rows,
several kv heads make a set: a page is then one piece of memory, and a query is zero where another head's keys lie. When
slots and sets make too few programs to fill the device, the keys are split and a second kernel joins the parts (flash
decoding).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.pages import check_ring
from kernels.triton.launch import block, check

_ENOUGH = 256  # programs that fill a large GPU
_TILE = 8 << 10  # bytes of a block of keys: several programs of several blocks under way fit into a multiprocessor
_ROWS = 16  # of the smallest product
_WIDTH = 256  # numbers of a key, of all heads of a set
_WORTH = 128 << 10  # bytes of keys and values that are read in the time that joining parts takes
_STAGES = 3  # blocks of keys that are on their way at once, and one more


def paged_attention(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    table: Tensor,
    position: Tensor,
    length: Tensor,
    window: int,
    splits: int | None = None,
) -> Tensor:
    """As :func:`kernels.reference.paged_attention`; no gradients. Pages must be contiguous (ValueError).

    ``splits``: parts that a slot's keys are cut into; by the number of programs when None.
    """
    check("paged_attention", (q, k_pages, v_pages))
    if not (k_pages.is_contiguous() and v_pages.is_contiguous()):
        raise ValueError("paged_attention of triton reads contiguous pages only")
    slots, rows, heads, dim = q.shape
    page, kv_heads = k_pages.shape[1:3]
    check_ring(table, page, window, rows)
    packed = rows * heads // kv_heads
    joined = _joined(packed, kv_heads, dim)
    block_m, block_d = block(packed * joined, most=64), block(joined * dim)
    programs = kv_heads // joined * triton.cdiv(packed * joined, block_m)
    span = window + min(rows, block_m) - 1
    block_n = block(span, most=max(16, min(128, _TILE // (block_d * k_pages.element_size()))))
    if splits is None:
        read = 2 * span * joined * dim * k_pages.element_size()
        splits = max(1, min(_ENOUGH // (slots * programs), read // _WORTH))
    y = torch.empty_like(q, memory_format=torch.contiguous_format)
    parts = q.new_empty(0, dtype=torch.float32)
    sums = parts
    if splits > 1:
        parts = torch.empty(splits, slots * rows * heads, dim, dtype=torch.float32, device=q.device)
        sums = torch.empty(splits, 2, slots * rows * heads, dtype=torch.float32, device=q.device)
    _attend[(programs, slots, splits)](
        q.contiguous(),
        k_pages,
        v_pages,
        table.contiguous(),
        position.contiguous(),
        length.contiguous(),
        y,
        parts,
        sums,
        rows,
        window,
        slots * rows * heads,
        dim**-0.5,
        HEADS=heads,
        KV_HEADS=kv_heads,
        JOINED=joined,
        DIM=dim,
        PAGE=page,
        COLUMNS=table.shape[1],
        SPLITS=splits,
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        BLOCK_D=block_d,
        num_stages=_STAGES,
    )
    if splits > 1:
        _join[(slots * rows * heads,)](parts, sums, y, slots * rows * heads, DIM=dim, BLOCK_D=block(dim), SPLITS=splits)
    return y


def _joined(packed: int, kv_heads: int, dim: int) -> int:
    """How many kv heads, each read by ``packed`` rows, one program takes."""
    fits = [n for n in range(1, kv_heads + 1) if kv_heads % n == 0 and n * packed <= _ROWS and n * dim <= _WIDTH]
    return max(fits, default=1)


@triton.jit
def _attend(
    q_ptr: tl.tensor,  # [B, T, heads, head_dim]
    k_ptr: tl.tensor,  # [P, page, kv_heads, head_dim]
    v_ptr: tl.tensor,
    table_ptr: tl.tensor,  # [B, R]
    position_ptr: tl.tensor,  # [B]
    length_ptr: tl.tensor,  # [B]
    y_ptr: tl.tensor,  # [B, T, heads, head_dim]
    parts_ptr: tl.tensor,  # [SPLITS, B·T·heads, head_dim] float32
    sums_ptr: tl.tensor,  # [SPLITS, 2, B·T·heads] float32: maximum and sum
    rows: tl.tensor,
    window: tl.tensor,
    total: tl.tensor,
    scale: tl.tensor,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    JOINED: tl.constexpr,
    DIM: tl.constexpr,
    PAGE: tl.constexpr,  # known when compiled: where a row lies takes shifts, not divisions
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
) -> None:
    GROUP: tl.constexpr = HEADS // KV_HEADS
    READERS: tl.constexpr = GROUP * JOINED
    SETS: tl.constexpr = KV_HEADS // JOINED
    RING: tl.constexpr = COLUMNS * PAGE
    first_kv = tl.program_id(0) % SETS * JOINED
    slot = tl.program_id(1).to(tl.int64)
    split = tl.program_id(2)
    r = (tl.program_id(0) // SETS) * BLOCK_M + tl.arange(0, BLOCK_M)
    t = r // READERS
    position = tl.load(position_ptr + slot).to(tl.int64)
    length = tl.load(length_ptr + slot).to(tl.int64)
    inside = t < rows
    live = t < length
    # Numbers of a row of keys, of one head of the set after another; a query is of one of them.
    i = tl.arange(0, BLOCK_D)
    used = i < JOINED * DIM
    own = (i // DIM)[None, :] == (r % READERS // GROUP)[:, None]
    out = (slot * rows + t) * HEADS + first_kv * GROUP + r % READERS
    at = out[:, None] * DIM + (i % DIM)[None, :]
    q = tl.load(q_ptr + at, mask=live[:, None] & own, other=0.0)

    # Keys of the tile: from the first query's window to the last query, cut into SPLITS whole blocks.
    oldest = tl.maximum(position + tl.min(t, 0) - window + 1, 0)
    newest = tl.where(tl.min(t, 0) < length, position + tl.minimum(tl.max(t, 0) + 1, length), oldest)
    each = tl.cdiv(tl.cdiv(tl.maximum(newest - oldest, 0), BLOCK_N), SPLITS) * BLOCK_N
    begin = oldest + split * each
    count = (tl.minimum(begin + each, newest) - begin).to(tl.int32)
    behind = (position + t - begin).to(tl.int32)  # how far each query is from the first key
    ring = (begin % RING).to(tl.int32)
    n = tl.arange(0, BLOCK_N)
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    mass = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    # Ids of pages are read a block ahead: keys whose place is known can be on their way while others are computed with.
    table_ptr += slot * COLUMNS
    pages = tl.load(table_ptr + (ring + n) % RING // PAGE, mask=n < count, other=0)
    for start in range(0, count, BLOCK_N):
        u = start + n
        there = u < count
        cell = (pages.to(tl.int64) * PAGE + (ring + u) % RING % PAGE) * KV_HEADS * DIM + first_kv * DIM
        after = u + BLOCK_N
        pages = tl.load(table_ptr + (ring + after) % RING // PAGE, mask=after < count, other=0)
        k = tl.load(k_ptr + cell[None, :] + i[:, None], mask=there[None, :] & used[:, None], other=0.0)
        # Rows that are not read are zeros, not what a stale page holds: 0 · NaN would poison the sum.
        v = tl.load(v_ptr + cell[:, None] + i[None, :], mask=there[:, None] & used[None, :], other=0.0)
        lag = behind[:, None] - u[None, :]
        seen = (lag >= 0) & (lag < window) & there[None, :] & live[:, None]
        scores = tl.where(seen, tl.dot(q, k.to(q.dtype), input_precision="ieee") * scale, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        weight = tl.exp(scores - safe[:, None])
        shrink = tl.exp(top - safe)
        mass = mass * shrink + tl.sum(weight, 1)
        acc = acc * shrink[:, None] + tl.dot(weight.to(q.dtype), v.to(q.dtype), input_precision="ieee")
        top = higher
    keep = inside[:, None] & own
    if SPLITS == 1:
        y = acc / tl.where(mass > 0, mass, 1.0)[:, None]
        tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=keep)
    else:
        base = split.to(tl.int64) * total
        tl.store(parts_ptr + base * DIM + at, acc, mask=keep)
        tl.store(sums_ptr + 2 * base + out, top, mask=inside)
        tl.store(sums_ptr + 2 * base + total + out, mass, mask=inside)


@triton.jit
def _join(
    parts_ptr: tl.tensor,  # [SPLITS, N, head_dim]
    sums_ptr: tl.tensor,  # [SPLITS, 2, N]
    y_ptr: tl.tensor,  # [N, head_dim]
    total: tl.tensor,
    DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    SPLITS: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK_D)
    top = tl.load(sums_ptr + n)
    for s in range(1, SPLITS):
        top = tl.maximum(top, tl.load(sums_ptr + 2 * s * total + n))
    top = tl.where(top == float("-inf"), 0.0, top)
    acc = tl.zeros((BLOCK_D,), tl.float32)
    mass = 0.0
    for s in range(SPLITS):
        shrink = tl.exp(tl.load(sums_ptr + 2 * s * total + n) - top)
        mass += shrink * tl.load(sums_ptr + (2 * s + 1) * total + n)
        acc += shrink * tl.load(parts_ptr + (s * total + n) * DIM + i, mask=i < DIM, other=0.0)
    y = acc / tl.where(mass > 0, mass, 1.0)
    tl.store(y_ptr + n * DIM + i, y.to(y_ptr.dtype.element_ty), mask=i < DIM)
