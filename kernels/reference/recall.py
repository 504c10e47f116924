"""Columns of a frame some frames back, out of the last ones that are kept. Knows frames; nothing of what is in them.

out = (new, kept 0, kept 1, …)[max(index + first, 0)];   kept = (new, kept 0, …) less the last     (active slots)
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


def recall(
    spectrum: Tensor,
    level: Tensor,
    index: Tensor,
    first: int,
    spectra: Tensor,
    levels: Tensor,
    active: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Recall a frame and keep the newest.

    Args:
        spectrum: ``[B, ...]`` complex, of the newest frame; level: ``[B]``.
        index: ``[B]`` int64: the frame ``max(index + first, 0)`` frames back is wanted, K at most.
        spectra: ``[B, K, ...]``, levels: ``[B, K]``: the frames before, newest first, K at least one; changed in place
            for active slots.
        active: ``[B]`` bool, all when None.

    Returns spectrum and level of the wanted frame, new tensors of the shape of the newest one's; of every slot, active
    or not.
    """
    slot, back = torch.arange(len(index), device=index.device), (index + first).clamp(min=0)
    out: list[Tensor] = []
    for new, kept in ((spectrum, spectra), (level, levels)):
        history = torch.cat([new.unsqueeze(1), kept], 1)
        moved = history[:, :-1].detach()
        kept.copy_(moved if active is None else torch.where(active.view(-1, *[1] * (kept.dim() - 1)), moved, kept))
        out.append(history[slot, back])
    return out[0], out[1]


def cases() -> list[Case]:
    sizes = {"frames": 2, "columns": 2, "bins": 961}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, frames: int, columns: int, bins: int) -> Cost:
    """Two flops a slot: how far back."""
    return Cost(flops=2 * slots, bytes=slots * (4 * columns * bins + 1) * 4 * (2 * frames + 2))
