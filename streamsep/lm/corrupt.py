"""Damage the past in training, so that the model learns to live with its own mistakes. Knows codes; holds no state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Corruption:
    """Shares between 0 and 1. ``replace`` is a mean: every sequence draws its own share between 0 and twice that."""

    replace: float = 0.25  # codes replaced: half by any code, half by what another stem plays at that moment
    drop: float = 0.15  # sequences without any history
    drop_stem: float = 0.1  # (sequence, stem) pairs without history
    drop_span: float = 0.2  # sequences with a stretch of time without history
    span: int = 25  # longest stretch, frames


def corrupt_history(
    codes: Tensor, size: int, generator: torch.Generator, corruption: Corruption | None = None
) -> tuple[Tensor, Tensor]:
    """Corrupt the codes of the past.

    Args:
        codes: ``[B, T, S, Q]`` int64.
        size: codes a codebook has.
        generator: the only source of randomness; on the codes' device.

    Returns ``(codes [B, T, S, Q], present [B, T, S] bool)``.
    """
    config = corruption or Corruption()
    batch, length, stems, _ = codes.shape
    device = codes.device

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    share = 2 * config.replace * rand(batch, 1, 1, 1)
    draw = rand(*codes.shape)
    anything = torch.randint(size, codes.shape, generator=generator, device=device)
    shift = int(torch.randint(1, max(stems, 2), (1,), generator=generator, device=device))
    damaged = torch.where(draw < share / 2, anything, codes)
    damaged = torch.where((draw >= share / 2) & (draw < share), codes.roll(shift, dims=2), damaged)

    present = (rand(batch, 1, 1) >= config.drop) & (rand(batch, 1, stems) >= config.drop_stem)
    start = rand(batch, 1, 1) * length
    end = start + rand(batch, 1, 1) * config.span * (rand(batch, 1, 1) < config.drop_span)
    time = torch.arange(length, device=device).view(1, -1, 1)
    return damaged, present & ((time < start) | (time >= end))
