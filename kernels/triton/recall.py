"""Columns of some frames back in one kernel. Contract: `kernels.reference.recall`.

A program owns a piece of a slot's frame with all that is kept of it, so that nobody else reads what it moves.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import check, lengths

_BLOCK = 256  # floats of a program: of few slots many programs


def recall(
    spectrum: Tensor,
    level: Tensor,
    index: Tensor,
    first: int,
    spectra: Tensor,
    levels: Tensor,
    active: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As :func:`kernels.reference.recall`, complex64 only; no gradients. What is kept must be contiguous
    (ValueError).
    """
    if not (spectra.is_contiguous() and levels.is_contiguous()):
        raise ValueError("recall of triton moves contiguous tensors only")
    new, kept = torch.view_as_real(spectrum).contiguous(), torch.view_as_real(spectra)
    check("recall", (new, kept, level, levels))
    then = torch.empty(new.shape, dtype=new.dtype, device=new.device)
    loud = torch.empty(level.shape, dtype=level.dtype, device=level.device)
    slots, frames = levels.shape
    size = new.numel() // slots
    _move[(slots, triton.cdiv(size, _BLOCK))](
        new, level.contiguous(), index.contiguous(), kept, levels, lengths(level, active), then, loud, size, first,
        FRAMES=frames, BLOCK=_BLOCK,
    )  # fmt: skip
    return torch.view_as_complex(then), loud


@triton.jit
def _pass(
    new_ptr: tl.tensor,
    kept_ptr: tl.tensor,  # what is kept of the newest, changed in place
    out_ptr: tl.tensor,
    stride: tl.tensor,  # from a frame kept to the one before it
    back: tl.tensor,
    inside: tl.tensor,
    moves: tl.tensor,
    FRAMES: tl.constexpr,
) -> None:
    """Pick a frame and move all by one. The thread that writes to a place is the one that read it before."""
    x = tl.load(new_ptr, mask=inside, other=0.0)
    picked = x
    for k in tl.static_range(FRAMES):
        old = tl.load(kept_ptr + k * stride, mask=inside, other=0.0)
        picked = tl.where(back == k + 1, old, picked)
        tl.store(kept_ptr + k * stride, x, mask=moves)
        x = old
    tl.store(out_ptr, picked, mask=inside)


@triton.jit
def _move(
    new_ptr: tl.tensor,  # [B, N]
    level_ptr: tl.tensor,  # [B]
    index_ptr: tl.tensor,  # [B]
    kept_ptr: tl.tensor,  # [B, K, N], changed in place
    levels_ptr: tl.tensor,  # [B, K], changed in place
    moves_ptr: tl.tensor,  # [B], 0 or 1
    then_ptr: tl.tensor,  # [B, N]
    loud_ptr: tl.tensor,  # [B]
    size: tl.tensor,
    first: tl.tensor,
    FRAMES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    b = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    back = tl.load(index_ptr + b) + first
    moves = tl.load(moves_ptr + b) > 0
    one = tl.program_id(1) == 0  # passes the level, too
    _pass(level_ptr + b, levels_ptr + b * FRAMES, loud_ptr + b, 1, back, one, one & moves, FRAMES)
    _pass(
        new_ptr + b * size + at, kept_ptr + b * FRAMES * size + at, then_ptr + b * size + at, size, back, inside,
        inside & (at * 0 + moves > 0), FRAMES,
    )  # fmt: skip
