"""Stems as gains of bands on the mixture's own columns. Knows bands, sides and stems; nothing of how gains came about.

wave_s = istft_ola(Σ_from gains[s, to, from, r, band of bin] · spectrum[from, r, bin] + added[s, to, r, bin])
left, right = (mid ± side) / √2
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.istft_ola import istft_ola


def mask_render(
    gains: Tensor,
    spectrum: Tensor,
    added: Tensor,
    band: Tensor,
    window: Tensor,
    tail: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """Render one frame.

    Args:
        gains: ``[B, S, 2 sides of the stem, 2 sides of the mixture, R, M]``; stems sum to the mixture when they sum to
            the identity over S.
        spectrum: ``[B, 2 sides, R, hop + 1]`` complex mid/side columns.
        added: ``[B, S, 2 sides, R, K]`` complex, to the K lowest bins.
        band: ``[hop + 1]`` int64, the band of each bin.
        window: ``[2·hop]``; tail: ``[B, S, 2, hop]``, changed in place for active slots.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, S, 2 channels, R · hop]`` left/right.
    """
    found = (gains.index_select(-1, band) * spectrum[:, None, None]).sum(3)
    found[..., : added.shape[-1]] += added
    wave = istft_ola(found, window, tail, active)
    mid, side = wave.select(2, 0), wave.select(2, 1)
    return torch.stack([mid + side, mid - side], 2) * 0.5**0.5


def cases() -> list[Case]:
    sizes = {"stems": 4, "columns": 2, "hop": 960, "bands": 120, "low": 32}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, stems: int, columns: int, hop: int, bands: int, low: int) -> Cost:
    """FFT flops as in ``istft_ola``."""
    waves, n = slots * stems * 2 * columns, 2 * hop
    return Cost(
        flops=int(waves * (2.5 * n * n.bit_length() + 2 * n + 8 * (hop + 1) + 2 * low)),
        bytes=4 * (waves * (2 * bands + 2 * low + hop) + slots * 4 * columns * (hop + 1) + slots * stems * 4 * hop),
    )
