"""A step's rows through what is fed and one layer of a depth transformer, in Triton. Knows tiles; knows no codes.

Rows [ROWS] are streams × places of the step; x [ROWS, BLOCK_D] float32 stays in registers.
"""

from __future__ import annotations

import triton
import triton.language as tl

from kernels.triton.tiles import add_apart


@triton.jit
def fed_rows(
    feed_ptr: tl.tensor,  # [Q, D, 2·C]
    book_ptr: tl.tensor,  # [L]
    fed_ptr: tl.tensor,  # [L, 2]
    latent_ptr: tl.tensor,  # [N, latents, C] float32
    stream: tl.tensor,  # [ROWS] int64
    at: tl.tensor,  # [ROWS], place in the order of the plan
    live: tl.tensor,  # [ROWS]
    filled: tl.tensor,
    end: tl.tensor,
    latents: tl.tensor,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_C: tl.constexpr,
) -> tl.tensor:
    """fed latents · feed[book]ᵀ, [ROWS, BLOCK_D]."""
    kind = feed_ptr.dtype.element_ty
    i, c = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_C)
    acc = tl.zeros((ROWS, BLOCK_D), tl.float32)
    for half in tl.static_range(2):
        entry = tl.load(fed_ptr + at * 2 + half, mask=live, other=0)
        cells = (stream * latents + entry)[:, None] * WIDTH + c[None, :]
        latent = tl.load(latent_ptr + cells, mask=live[:, None] & (c < WIDTH)[None, :], other=0.0).to(kind)
        for each in range(filled, end):
            feed = feed_ptr + tl.load(book_ptr + each) * DIM * 2 * WIDTH + half * WIDTH
            inside = (c < WIDTH)[:, None] & (i < DIM)[None, :]
            weight = tl.load(feed + i[None, :] * (2 * WIDTH) + c[:, None], mask=inside, other=0.0)
            product = tl.dot(latent, weight, input_precision="ieee")
            acc += tl.where((at == each)[:, None], product, 0.0)
    return acc


@triton.jit
def normed(
    x: tl.tensor, norm_ptr: tl.tensor, eps: tl.tensor, kind: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr
) -> tl.tensor:
    """rms_norm(x) · norm, [ROWS, BLOCK_D] in the precision ``kind``; zeros stay zeros beyond DIM."""
    i = tl.arange(0, BLOCK_D)
    norm = tl.load(norm_ptr + i, mask=i < DIM, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(x * x, 1) / DIM + eps)
    return (x * scale[:, None] * norm[None, :]).to(kind)


@triton.jit
def rows_of(
    weight_ptr: tl.tensor, first: tl.tensor, wanted: tl.tensor, inputs: tl.constexpr, BLOCK_I: tl.constexpr
) -> tl.tensor:
    """Rows ``first`` [O] of a weight matrix [out, inputs], turned: [BLOCK_I, O]."""
    i = tl.arange(0, BLOCK_I)
    mask = (i < inputs)[:, None] & wanted[None, :]
    return tl.load(weight_ptr + first[None, :] * inputs + i[:, None], mask=mask, other=0.0)


@triton.jit
def columns_of(
    weight_ptr: tl.tensor,
    first: tl.tensor,
    wanted: tl.tensor,
    outputs: tl.constexpr,
    inputs: tl.constexpr,
    BLOCK_O: tl.constexpr,
) -> tl.tensor:
    """Columns ``first`` [I] of a weight matrix [outputs, inputs], turned: [I, BLOCK_O]."""
    o = tl.arange(0, BLOCK_O)
    mask = wanted[:, None] & (o < outputs)[None, :]
    return tl.load(weight_ptr + o[None, :] * inputs + first[:, None], mask=mask, other=0.0)


@triton.jit
def layer(
    x: tl.tensor,
    weights: tl.tuple,  # LayerWeights
    past_ptr: tl.tensor,  # [2, N, L, D]
    apart: tl.tensor,  # numbers between keys and values
    bias_ptr: tl.tensor,  # [L, L]
    stream: tl.tensor,
    at: tl.tensor,
    live: tl.tensor,
    end: tl.tensor,
    frames: tl.tensor,
    places: tl.tensor,
    eps: tl.tensor,
    HEADS: tl.constexpr,
    DIM: tl.constexpr,
    HIDDEN: tl.constexpr,
    STREAMS: tl.constexpr,
    AT_ONCE: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_L: tl.constexpr,
) -> tl.tensor:
    """x after attention and MLP; keys and values of the rows are appended to ``past``."""
    attention_norm, qkv_ptr, out_ptr, mlp_norm, gate_up_ptr, down_ptr = weights
    kind = qkv_ptr.dtype.element_ty
    HEAD: tl.constexpr = DIM // HEADS
    value_ptr = past_ptr + apart
    d = tl.arange(0, BLOCK_H)
    used = d < HEAD
    y = normed(x, attention_norm, eps, kind, DIM, BLOCK_D)
    cells = (stream * places + at)[:, None] * DIM + d[None, :]
    keep = live[:, None] & used[None, :]
    for h in range(HEADS):
        k = tl.dot(y, rows_of(qkv_ptr, DIM + h * HEAD + d, used, DIM, BLOCK_D), input_precision="ieee")
        v = tl.dot(y, rows_of(qkv_ptr, 2 * DIM + h * HEAD + d, used, DIM, BLOCK_D), input_precision="ieee")
        tl.store(past_ptr + cells + h * HEAD, k.to(kind), mask=keep)
        tl.store(value_ptr + cells + h * HEAD, v.to(kind), mask=keep)
    tl.debug_barrier()
    added = tl.zeros((ROWS, BLOCK_D), tl.float32)
    for h in range(HEADS):
        q = tl.dot(y, rows_of(qkv_ptr, h * HEAD + d, used, DIM, BLOCK_D), input_precision="ieee").to(kind)
        mixed = _attend(
            q, past_ptr + h * HEAD, value_ptr + h * HEAD, bias_ptr, at, live, end, frames, places,
            DIM, HEAD, STREAMS, AT_ONCE, ROWS, BLOCK_H, BLOCK_L,
        )  # fmt: skip
        weight = columns_of(out_ptr, h * HEAD + d, used, DIM, DIM, BLOCK_D)
        added = add_apart(added, tl.dot(mixed.to(kind), weight, input_precision="ieee"))
    x += added
    added = tl.zeros((ROWS, BLOCK_D), tl.float32)
    y = normed(x, mlp_norm, eps, kind, DIM, BLOCK_D)
    for start in range(0, HIDDEN, 32):
        o = start + tl.arange(0, 32)
        wanted = o < HIDDEN
        gate = tl.dot(y, rows_of(gate_up_ptr, o, wanted, DIM, BLOCK_D), input_precision="ieee")
        up = tl.dot(y, rows_of(gate_up_ptr, HIDDEN + o, wanted, DIM, BLOCK_D), input_precision="ieee")
        opened = (gate / (1.0 + tl.exp(-gate)) * up).to(kind)
        weight = columns_of(down_ptr, o, wanted, DIM, HIDDEN, BLOCK_D)
        added = add_apart(added, tl.dot(opened, weight, input_precision="ieee"))
    return x + added


@triton.jit
def _attend(
    q: tl.tensor,  # [ROWS, BLOCK_H]
    key_ptr: tl.tensor,  # [N, L, D], of one head
    value_ptr: tl.tensor,
    bias_ptr: tl.tensor,  # [L, L]
    at: tl.tensor,
    live: tl.tensor,
    end: tl.tensor,
    frames: tl.tensor,
    places: tl.tensor,
    DIM: tl.constexpr,
    HEAD: tl.constexpr,
    STREAMS: tl.constexpr,
    AT_ONCE: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_L: tl.constexpr,
) -> tl.tensor:
    """Each row over the places of its own stream before ``end``, [ROWS, BLOCK_H]: no stream's NaN reaches another."""
    d, u = tl.arange(0, BLOCK_H), tl.arange(0, BLOCK_L)
    own = tl.arange(0, ROWS) // AT_ONCE
    there = u < end
    bias = tl.load(bias_ptr + at[:, None] * places + u[None, :], mask=live[:, None] & there[None, :], other=0.0)
    mixed = tl.zeros((ROWS, BLOCK_H), tl.float32)
    for s in range(STREAMS):
        n = tl.program_id(0).to(tl.int64) * STREAMS + s
        exists = there & (u * 0 + n < frames)
        cells = (n * places + u) * DIM
        k = tl.load(key_ptr + cells[None, :] + d[:, None], mask=(d < HEAD)[:, None] & exists[None, :], other=0.0)
        v = tl.load(value_ptr + cells[:, None] + d[None, :], mask=exists[:, None] & (d < HEAD)[None, :], other=0.0)
        scores = tl.dot(q, k, input_precision="ieee") * (HEAD**-0.5) + bias.to(tl.float32)
        scores = tl.where(there[None, :], scores, float("-inf"))
        weight = tl.exp(scores - tl.max(scores, 1)[:, None])
        weight = weight / tl.sum(weight, 1)[:, None]
        product = tl.dot(weight.to(k.dtype), v, input_precision="ieee")
        mixed = tl.where((own == s)[:, None], product, mixed)
    return mixed
