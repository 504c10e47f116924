"""Causal depthwise convolution over time with carried state. Knows channels and frames; knows nothing of what they are.

y[t] = Σ_i weight[i] · span[t + i],      span = (past, x);      past = the last K-1 of (past, x[: length])
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost


def conv_stream(x: Tensor, past: Tensor, weight: Tensor, length: Tensor) -> Tensor:
    """Convolve.

    Args:
        x: ``[B, T, D]``, T new frames a slot.
        past: ``[B, K-1, D]``, the frames before, oldest first; changed in place.
        weight: ``[K, D]``, the newest frame's last.
        length: ``[B]`` int, how many of the T frames count; 0 is an idle slot, whose past stays.

    Returns ``[B, T, D]``; frames past ``length`` hold anything.
    """
    kernel, frames = weight.shape[0], x.shape[1]
    span = torch.cat((past, x), 1)
    y = span[:, :frames] * weight[0]
    for i in range(1, kernel):
        y = y + span[:, i : i + frames] * weight[i]
    index = length.long().unsqueeze(1) + torch.arange(kernel - 1, device=x.device)
    past.copy_(span.gather(1, index.unsqueeze(2).expand(-1, -1, x.shape[2])))
    return y


def cases() -> list[Case]:
    sizes = {"frames": 1, "dim": 128, "kernel": 5}
    return [Case("tiny, one stream", {"slots": 6, **sizes}), Case("tiny, 64 streams", {"slots": 384, **sizes})]


def cost(slots: int, frames: int, dim: int, kernel: int) -> Cost:
    return Cost(
        flops=2 * slots * frames * dim * kernel,
        bytes=4 * dim * (slots * (2 * frames + 2 * (kernel - 1)) + kernel),
    )
