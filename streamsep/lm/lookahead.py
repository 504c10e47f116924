"""The latency dial in training: which frame's codes belong to which step. Knows indices only.

With lookahead k, step t has heard frame t and emits the codes of frame t - k:

    step          0    1    2    3            k = 2: steps 0 and 1 would emit frames before the beginning;
    emits k = 1   -    f0   f1   f2           what they emit is thrown away and never becomes history.
    history       -    -    f0   f1
"""

from __future__ import annotations

import torch
from torch import Tensor

from streamsep.condition.encoder import lookahead_frames


def targets(x: Tensor, lookahead: Tensor) -> tuple[Tensor, Tensor]:
    """Align a sequence by frame with the steps that emit it.

    Args:
        x: ``[B, T, ...]`` by frame (codes, latents, envelopes).
        lookahead: ``[B]`` int64, index into ``LOOKAHEADS``.

    Returns ``(y [B, T, ...] by step, valid [B, T] bool)``; y repeats an edge frame where it is not valid.
    """
    length = x.shape[1]
    frame = torch.arange(length, device=x.device) - lookahead_frames(lookahead).unsqueeze(1)
    valid = (frame >= 0) & (frame < length)
    row = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    return x[row, frame.clamp(0, length - 1)], valid


def history(y: Tensor, lookahead: Tensor) -> tuple[Tensor, Tensor]:
    """What every step has emitted one step before.

    Args:
        y: ``[B, T, ...]`` by step, from :func:`targets` or emitted by the model.
        lookahead: ``[B]`` int64.

    Returns ``(past [B, T, ...], present [B, T] bool)``: false at the first step and where the emitted frame lies before
    the beginning.
    """
    past = torch.cat((y[:, :1], y[:, :-1]), dim=1)
    step = torch.arange(y.shape[1], device=y.device)
    return past, step > lookahead_frames(lookahead).unsqueeze(1).clamp_min(0)
