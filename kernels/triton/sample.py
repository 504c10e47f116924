"""Counter-based sampling in Triton, a row of logits a program. Contract and formula: `kernels.reference.sample`."""

# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference import sample as formula
from kernels.triton.launch import block, check

_GOLDEN, _MIX_1, _MIX_2 = (tl.constexpr(v) for v in (formula.GOLDEN, formula.MIX_1, formula.MIX_2))


def sample(
    logits: Tensor,
    temperature: float,
    top_k: int = 0,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    place: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.sample`; logits of up to a few thousand codes."""
    check("sample", (logits,))
    codes = torch.empty(logits.shape[:-1], dtype=torch.int64, device=logits.device)
    if temperature == 0:
        seed = frame = place = codes  # not read
    elif seed is None or frame is None or place is None:
        raise ValueError("sampling with temperature > 0 needs a seed for every slot")
    size = logits.shape[-1]
    _draw[(codes.numel(),)](
        logits.contiguous(),
        seed.contiguous(),
        frame.contiguous(),
        place.contiguous(),
        codes,
        logits.shape[-2],
        size,
        float(temperature),
        TOP_K=top_k if 0 < top_k < size else 0,
        GREEDY=temperature == 0,
        BLOCK=block(size),
    )
    return codes


@triton.jit
def _draw(
    logits_ptr: Any,  # [B, R, K]
    seed_ptr: Any,  # [B]
    frame_ptr: Any,  # [B]
    place_ptr: Any,  # [R]
    codes_ptr: Any,  # [B, R]
    rows: Any,
    size: Any,
    temperature: Any,
    TOP_K: tl.constexpr,
    GREEDY: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    logits = tl.load(logits_ptr + n * size + k, mask=k < size, other=float("-inf")).to(tl.float32)
    top = tl.max(logits, 0)
    if GREEDY:
        code = tl.min(tl.where(logits == top, k, BLOCK), 0)
    else:
        seen = k < size
        if TOP_K > 0:
            seen = seen & (_ordered(logits) >= _least(_ordered(logits), TOP_K))
        wide = (logits.to(tl.float64) - top.to(tl.float64)) / temperature
        weight = tl.where(seen, tl.exp(wide), 0.0)
        running = tl.cumsum(weight, 0)
        total = tl.max(running, 0)
        seed, frame = tl.load(seed_ptr + n // rows), tl.load(frame_ptr + n // rows)
        x = _splitmix(_splitmix(seed) ^ frame)
        x = _splitmix(x ^ (tl.load(place_ptr + n % rows) + 1))
        u = _shift(x, 11).to(tl.float64) * 1.1102230246251565e-16  # 2⁻⁵³
        code = tl.minimum(tl.sum(((running <= u * total) & (k < size)).to(tl.int32), 0), size - 1)
    tl.store(codes_ptr + n, code.to(tl.int64))


@triton.jit
def _ordered(x: Any) -> Any:
    """float32 → int64 numbers from 0 to 2³² - 1 in the same order."""
    bits = x.to(tl.int32, bitcast=True).to(tl.int64)
    return tl.where(bits < 0, -1 - bits, bits + 0x80000000)


@triton.jit
def _least(keys: Any, TOP_K: tl.constexpr) -> Any:
    """The TOP_K-th largest key, bit by bit from the highest."""
    least = tl.sum(keys * 0, 0)
    for bit in range(32):
        higher = least + (tl.full((), 1, tl.int64) << (31 - bit))
        least = tl.where(tl.sum((keys >= higher).to(tl.int32), 0) >= TOP_K, higher, least)
    return least


@triton.jit
def _shift(x: Any, BITS: tl.constexpr) -> Any:
    """Logical right shift of int64."""
    return (x >> BITS) & ((1 << (64 - BITS)) - 1)


@triton.jit
def _splitmix(x: Any) -> Any:
    x = x + _GOLDEN
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)
