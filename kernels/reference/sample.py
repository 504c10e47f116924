"""Codes drawn from logits without a generator. Knows logits and counters; holds no state.

    u    = splitmix(splitmix(splitmix(seed) ^ frame) ^ (place + 1)) / 2⁶⁴          uniform in [0, 1)
    p    = softmax(logits / temperature), all but the top_k likeliest left out
    code = how many of the running sums of p are ≤ u                                temperature 0: the likeliest

A draw depends on (seed, frame, place) and nothing else: streaming and offline, any batch, any order of slots and every
backend choose the same codes, unless a running sum meets u within rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


GOLDEN, MIX_1, MIX_2 = (_signed(v) for v in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def sample(
    logits: Tensor,
    temperature: float,
    top_k: int = 0,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    place: Tensor | None = None,
) -> Tensor:
    """Draw.

    Args:
        logits: ``[B, R, K]``, any float type.
        temperature: 0 takes the likeliest code, the first of equals.
        top_k: choose among the k likeliest codes (and their equals); 0 is all.
        seed, frame: ``[B]`` int64; place: ``[R]`` int64. All three are needed when temperature > 0.

    Returns ``[B, R]`` int64. Raises ValueError when they are missing.
    """
    if temperature == 0:
        return choose(logits, 0.0, 0, None)
    if seed is None or frame is None or place is None:
        raise ValueError("sampling with temperature > 0 needs a seed for every slot")
    return choose(logits, temperature, top_k, uniform(seed.unsqueeze(1), frame.unsqueeze(1), place))


def uniform(seed: Tensor, frame: Tensor, place: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), float64, of the arguments' broadcast shape (all int64)."""
    x = _splitmix(_splitmix(seed) ^ frame)
    x = _splitmix(x ^ (place + 1))
    return _shift(x, 11).double() * 2.0**-53


def choose(logits: Tensor, temperature: float, top_k: int, u: Tensor | None) -> Tensor:
    """Codes ``[...]`` int64 of logits ``[..., K]`` by uniform numbers ``[...]``; ``u`` is needed unless greedy."""
    if temperature == 0:
        return logits.argmax(-1)
    if u is None:
        raise ValueError("sampling with temperature > 0 needs a seed for every slot")
    if 0 < top_k < logits.shape[-1]:
        least = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    cumulative = (logits.double() / temperature).softmax(-1).cumsum(-1)
    below = cumulative <= (u * cumulative[..., -1]).unsqueeze(-1)
    return below.sum(-1).clamp_max(logits.shape[-1] - 1)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _splitmix(x: Tensor) -> Tensor:
    """SplitMix64's output function (Steele, Lea & Flood, 2014) on int64, wrapping."""
    x = x + GOLDEN
    x = (x ^ _shift(x, 30)) * MIX_1
    x = (x ^ _shift(x, 27)) * MIX_2
    return x ^ _shift(x, 31)


def cases() -> list[Case]:
    return [Case("tiny frame", {"rows": 16, "codes": 512}), Case("64 streams", {"rows": 1024, "codes": 512})]


def cost(rows: int, codes: int) -> Cost:
    return Cost(flops=8 * rows * codes, bytes=4 * rows * codes + 8 * rows)
