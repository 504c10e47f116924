"""Counter-based sampling in Triton, a row of logits a program. Contract and formula: `kernels.reference.sample`."""

from __future__ import annotations

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
    logits_ptr: tl.tensor,  # [B, R, K]
    seed_ptr: tl.tensor,  # [B]
    frame_ptr: tl.tensor,  # [B]
    place_ptr: tl.tensor,  # [R]
    codes_ptr: tl.tensor,  # [B, R]
    rows: tl.tensor,
    size: tl.tensor,
    temperature: tl.tensor,
    TOP_K: tl.constexpr,
    GREEDY: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    logits = tl.load(logits_ptr + n * size + k, mask=k < size, other=float("-inf")).to(tl.float32)
    if GREEDY:
        code = tl.min(tl.where(logits == tl.max(logits, 0), k, BLOCK), 0)
        code = tl.minimum(code, size - 1)  # of NaN some code, too
    else:
        seed, frame = tl.load(seed_ptr + n // rows), tl.load(frame_ptr + n // rows)
        u = uniform(seed, frame, tl.load(place_ptr + n % rows))
        code = draw(logits, size, temperature, u, TOP_K, BLOCK)
    tl.store(codes_ptr + n, code.to(tl.int64))


@triton.jit
def uniform(seed: tl.tensor, frame: tl.tensor, place: tl.tensor) -> tl.tensor:
    """In [0, 1), float64."""
    x = _splitmix(_splitmix(seed) ^ frame)
    x = _splitmix(x ^ (place + 1))
    return _shift(x, 11).to(tl.float64) * 1.1102230246251565e-16  # 2⁻⁵³


@triton.jit
def draw(
    logits: tl.tensor, size: tl.tensor, temperature: tl.tensor, u: tl.tensor, TOP_K: tl.constexpr, BLOCK: tl.constexpr
) -> tl.tensor:
    """The code of a row of logits [BLOCK] float32, -inf from ``size`` on; TOP_K 0 is all."""
    k = tl.arange(0, BLOCK)
    seen = k < size
    if TOP_K > 0:
        seen = seen & (_ordered(logits) >= _least(_ordered(logits), TOP_K))
    wide = (logits.to(tl.float64) - tl.max(logits, 0).to(tl.float64)) / temperature
    running = tl.cumsum(tl.where(seen, tl.exp(wide), 0.0), 0)
    total = tl.max(running, 0)
    return tl.minimum(tl.sum(((running <= u * total) & (k < size)).to(tl.int32), 0), size - 1)


@triton.jit
def _ordered(x: tl.tensor) -> tl.tensor:
    """float32 → int64 numbers from 0 to 2³² - 1 in the same order."""
    bits = x.to(tl.int32, bitcast=True).to(tl.int64)
    return tl.where(bits < 0, -1 - bits, bits + 0x80000000)


@triton.jit
def _least(keys: tl.tensor, TOP_K: tl.constexpr) -> tl.tensor:
    """The TOP_K-th largest key, bit by bit from the highest."""
    least = tl.sum(keys * 0, 0)
    for bit in range(32):
        higher = least + (tl.full((), 1, tl.int64) << (31 - bit))
        least = tl.where(tl.sum((keys >= higher).to(tl.int32), 0) >= TOP_K, higher, least)
    return least


@triton.jit
def _shift(x: tl.tensor, BITS: tl.constexpr) -> tl.tensor:
    """Logical right shift of int64."""
    return (x >> BITS) & ((1 << (64 - BITS)) - 1)


@triton.jit
def _splitmix(x: tl.tensor) -> tl.tensor:
    x = x + _GOLDEN
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)
