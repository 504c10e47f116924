"""What a stage of training gives to the loop. Knows no files and no clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from streamsep.config import LOOKAHEADS


class Stage(Protocol):
    """One stage: what is trained, its loss, and the score that checkpoints are chosen by."""

    @property
    def module(self) -> nn.Module:
        """All parameters of it that require a gradient are trained."""
        ...

    def loss(self, waves: Tensor, generator: torch.Generator, progress: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        """``waves`` [B, 4 stems, 2, n] → loss and what the log shows.

        Randomness comes from ``generator`` (on the CPU) or from torch's own, which the loop seeds for every step;
        ``progress`` is the share of all steps that is done.
        """
        ...

    def score(self) -> dict[str, float]:
        """Measured on held-out songs with the averaged weights; the entry ``score`` is to be as high as possible."""
        ...

    def picture(self, path: Path) -> None:
        """Draw what the stage does to a held-out song."""
        ...

    def sample(self, path: Path) -> None:
        """Write a sound of what the stage does to a held-out song."""
        ...


def draw_lookahead(batch: int, odds: tuple[float, ...], generator: torch.Generator) -> Tensor:
    """``[B]`` int64 indices into ``LOOKAHEADS``."""
    if len(odds) != len(LOOKAHEADS):
        raise ValueError(f"lookahead odds must be {len(LOOKAHEADS)} numbers, got {len(odds)}")
    return torch.multinomial(torch.tensor(odds), batch, replacement=True, generator=generator)
