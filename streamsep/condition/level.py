"""Causal loudness tracking, so that the net hears every mixture at about the same level. Knows powers, not spectra."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.streaming import State, StreamModule

FLOOR = 1e-9  # mean power below which a stream counts as silent (-90 dB)
_FRAME_SECONDS = FRAME / SAMPLE_RATE


class LevelTracker(StreamModule):
    """Running power of the mixture: the larger of a slow (1.5 s) and a fast (80 ms) exponential mean.

    The slow mean is what loudness feels like; the fast one catches a drop after a break within two frames. Both are
    corrected for their empty start, as Adam corrects its moments.
    """

    def __init__(self, slow_seconds: float = 1.5, fast_seconds: float = 0.08) -> None:
        super().__init__()
        decay = [math.exp(-_FRAME_SECONDS / s) for s in (slow_seconds, fast_seconds)]
        self.register_buffer("decay", torch.tensor(decay), persistent=False)

    decay: Tensor

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("power", 2, device=device)
        state.add("weight", 2, device=device)
        return state

    def forward(self, power: Tensor) -> Tensor:
        """``power`` [B, T] mean square of each frame → level [B, T], mean square, at least ``FLOOR``."""
        frames = power.shape[1]
        lag = torch.arange(frames, device=power.device)
        lag = (lag[:, None] - lag[None, :]).to(power.dtype)
        kernel = torch.where(lag >= 0, self.decay[:, None, None] ** lag.clamp(min=0), 0.0)  # [2, T, T]
        mean = torch.einsum("rts,bs->brt", kernel, power) / kernel.sum(-1)
        return mean.amax(1).clamp(min=FLOOR)

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B] mean square of the frame → level [B]."""
        total = self.decay * state["power"] + x[:, None]
        weight = self.decay * state["weight"] + 1.0
        state.put("power", total, active)
        state.put("weight", weight, active)
        return (total / weight).amax(1).clamp(min=FLOOR)
