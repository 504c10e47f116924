"""Samples ↔ STFT columns, causally and without normalisation. Knows frames and windows; knows nothing of stems.

    samples   |  frame 0          |  frame 1          |
    column 0  ===0===|            .                   .     the window of column j covers [960(j-1), 960(j+1)):
    column 1  |======|======|     .                   .     the frame's two columns end half-way and at its end
    column 2         |======|======|
    column 3                |======|======|

Analysis and synthesis windows are both the root of a Hann window; at a hop of half a window their products overlap to
one, so that analysis followed by synthesis is the identity, 960 samples late.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.reference.istft_ola import istft_ola
from streamsep.config import HOP, STEMS, WINDOW
from streamsep.streaming import State, StreamModule


def root_hann() -> Tensor:
    """[1920] float32, ``sin(π (n + ½) / 1920)``: symmetric, its square overlaps to one at a hop of half its length."""
    n = torch.arange(WINDOW, dtype=torch.float64)
    return torch.sin(torch.pi * (n + 0.5) / WINDOW).float()


class STFT(StreamModule):
    """Samples → complex columns, two a frame."""

    window: Tensor

    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("window", root_hann(), persistent=False)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("past", self.channels, HOP, device=device)
        return state

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [..., 1920·T] → [..., 2T, 961] complex."""
        return self._columns(F.pad(x, (HOP, 0)))

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, channels, 1920] → [B, channels, 2, 961] complex."""
        joined = torch.cat([state["past"], x], -1)
        state.put("past", x[..., -HOP:], active)
        return self._columns(joined)

    def _columns(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x.unfold(-1, WINDOW, HOP) * self.window)


class ISTFT(StreamModule):
    """Complex columns → samples by overlap-add, 960 samples behind the columns' frame."""

    window: Tensor

    def __init__(self, lead: tuple[int, ...] = (len(STEMS), 2)) -> None:
        super().__init__()
        self.lead = lead
        self.register_buffer("window", root_hann(), persistent=False)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("tail", *self.lead, HOP, device=device)
        return state

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [..., 2T, 961] complex → [..., 1920·T]; the first 960 samples lie before the beginning."""
        waves = torch.fft.irfft(x, WINDOW) * self.window
        ends = F.pad(waves[..., HOP:], (0, 0, 1, 0))[..., :-1, :]
        return (waves[..., :HOP] + ends).flatten(-2)

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, *lead, 2, 961] complex → [B, *lead, 1920]."""
        return istft_ola(x, self.window, state["tail"], active)
