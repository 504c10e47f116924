"""Inverse STFT head: columns → samples by overlap-add with a carried tail. Knows windows of two hops; no stems.

wave_j  = irfft(column_j) · window                                           2·hop samples each
y[j]    = wave_j[: hop] + wave_{j-1}[hop :],      wave_{-1}[hop :] = tail;      tail = the last wave's second half
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


def istft_ola(columns: Tensor, window: Tensor, tail: Tensor, active: Tensor | None = None) -> Tensor:
    """Overlap and add.

    Args:
        columns: ``[B, ..., R, hop + 1]`` complex, R columns a frame.
        window: ``[2·hop]``.
        tail: ``[B, ..., hop]``, changed in place for active slots.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, ..., R · hop]``, one hop behind the columns.
    """
    hop = tail.shape[-1]
    waves = torch.fft.irfft(columns, 2 * hop) * window
    starts, ends = waves[..., :hop], waves[..., hop:]
    before = torch.cat([tail.unsqueeze(-2), ends[..., :-1, :]], -2)
    kept = ends[..., -1, :]
    tail.copy_(kept if active is None else torch.where(active.view(-1, *[1] * (tail.dim() - 1)), kept, tail))
    return (starts + before).flatten(-2)


def cases() -> list[Case]:
    return [
        Case("tiny frame", {"rows": 8, "columns": 2, "hop": 960}),
        Case("64", {"rows": 512, "columns": 2, "hop": 960}),
    ]


def cost(rows: int, columns: int, hop: int) -> Cost:
    """FFT flops as 2.5·n·log₂ n for n real samples."""
    n = 2 * hop
    return Cost(
        flops=int(rows * columns * (2.5 * n * n.bit_length() + 2 * n)),
        bytes=4 * rows * (columns * 2 * (hop + 1) + columns * hop + 2 * hop),
    )
