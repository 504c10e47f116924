"""How codes are chosen and fed back: settings only. The drawing itself is `kernels.reference.sample`.

Randomness is a hash of (seed, frame, stem, codebook): a slot's draw depends on nothing else, so streaming and offline,
any batch and any slot order choose the same codes.
"""

from __future__ import annotations

from dataclasses import dataclass

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
# What a stream uses unless it draws at random: measured best of all ways, see streamsep/train/EXPERIMENTS.md.
LIVE = Decoding(within="soft", feedback="soft")


def counter(stem: int, codebook: int) -> int:
    """A place's number in the hash that draws its code."""
    return stem * 4096 + codebook
