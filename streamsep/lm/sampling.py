"""How a code is chosen from logits. Knows logits and counters; holds no generator state.

Randomness is a hash of (seed, frame, stem, codebook): a slot's draw depends on nothing else, so streaming and offline,
any batch and any slot order choose the same codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FEEDS = ("soft", "hard", "none")


@dataclass(frozen=True)
class Decoding:
    """How a frame's codes are emitted.

    temperature: 0 is greedy.
    top_k: choose among the k likeliest codes, 0 is all.
    codebooks: how many to emit, None is the semantic ones.
    within: what later codes of the same frame see, ``hard`` (the chosen code's vector) or ``soft`` (posterior mean).
    feedback: what the next frame sees, ``soft``, ``hard`` or ``none``.
    """

    temperature: float = 0.0
    top_k: int = 0
    codebooks: int | None = None
    within: str = "hard"
    feedback: str = "soft"

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0:
            raise ValueError(f"temperature and top_k must be 0 or more, got {self.temperature} and {self.top_k}")
        if self.within not in FEEDS[:2]:
            raise ValueError(f"within is 'soft' or 'hard', got '{self.within}'")
        if self.feedback not in FEEDS:
            raise ValueError(f"feedback is 'soft', 'hard' or 'none', got '{self.feedback}'")


GREEDY = Decoding()
# What a stream uses unless it draws at random: measured best of all ways, see the model card.
LIVE = Decoding(within="soft", feedback="none")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_MIX = (_signed(0x9E3779B97F4A7C15), _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB))


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _splitmix(x: Tensor) -> Tensor:
    """SplitMix64's output function (Steele, Lea & Flood, 2014) on int64, wrapping."""
    x = x + _MIX[0]
    x = (x ^ _shift(x, 30)) * _MIX[1]
    x = (x ^ _shift(x, 27)) * _MIX[2]
    return x ^ _shift(x, 31)


def uniform(seed: Tensor, frame: Tensor, stem: Tensor, codebook: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), float64, of the arguments' broadcast shape (all int64)."""
    x = _splitmix(_splitmix(seed) ^ frame)
    x = _splitmix(x ^ (stem * 4096 + codebook + 1))
    return _shift(x, 11).double() * 2.0**-53


def choose(logits: Tensor, decoding: Decoding, u: Tensor | None = None) -> Tensor:
    """Choose codes.

    Args:
        logits: ``[..., K]``.
        decoding: temperature and top_k count.
        u: ``[...]`` uniform numbers; needed unless greedy.

    Returns ``[...]`` int64.
    """
    if decoding.temperature == 0:
        return logits.argmax(-1)
    if u is None:
        raise ValueError("sampling with temperature > 0 needs a seed for every slot")
    if 0 < decoding.top_k < logits.shape[-1]:
        least = logits.topk(decoding.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    cumulative = (logits.double() / decoding.temperature).softmax(-1).cumsum(-1)
    below = cumulative <= (u * cumulative[..., -1]).unsqueeze(-1)
    return below.sum(-1).clamp_max(logits.shape[-1] - 1)
