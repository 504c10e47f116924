"""Partials that an STFT column cannot tell apart: each low bin resolved into four, over the columns of the last frames.

A column's window of 40 ms sees tones 50 Hz apart as one: bass and kick drum, two low voices. A Fourier transform along
the columns of one bin resolves it (a "zoom FFT"): eight columns see 180 ms and tell tones 12 Hz apart. It looks at the
past alone, so it costs no latency.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.condition.bands import BandLinear
from streamsep.condition.features import log_power
from streamsep.config import HOP, SAMPLE_RATE, SUBFRAMES, TRUNK_BANDS, WINDOW, trunk_edges
from streamsep.streaming import State

BANDS = 20  # trunk bands that are resolved: up to 4.4 kHz
PARTS = 4  # of a bin
SIDES = 2  # mid, side


def zoom_filters(columns: int) -> Tensor:
    """[2·columns, 2·PARTS] float32: real and imaginary of a bin's columns, oldest first → those of its parts.

    Columns must be demodulated: a tone in the middle of the bin has the same phase in all of them. A lasting tone in
    the middle of a part comes out as strong as a column shows it.
    """
    n = torch.arange(columns, dtype=torch.float64)
    window = torch.sin(torch.pi * (n + 0.5) / columns).square()
    spacing = SAMPLE_RATE / WINDOW / PARTS
    offset = (torch.arange(PARTS) - (PARTS - 1) / 2) * spacing  # Hz from the middle of the bin
    turn = -2 * torch.pi * n[:, None] * offset * HOP / SAMPLE_RATE
    re, im = (window[:, None] / window.sum() * part for part in (turn.cos(), turn.sin()))
    from_re, from_im = torch.stack([re, im], -1), torch.stack([-im, re], -1)
    return torch.stack([from_re, from_im], 1).view(2 * columns, 2 * PARTS).float()


class Zoom(nn.Module):
    """Mixture columns → what is added to the embedding of each trunk band; nothing before it is trained.

    Its step is a part of the op ``band_embedding``.
    """

    filters: Tensor
    signs: Tensor

    def __init__(self, columns: int, dim: int) -> None:
        super().__init__()
        self.frames = columns // SUBFRAMES
        self.bins = trunk_edges()[BANDS]
        self.project = BandLinear(SIDES * PARTS, dim, BANDS)
        for weight in self.project.weights:
            nn.init.zeros_(weight)
        self.register_buffer("filters", zoom_filters(columns), persistent=False)
        # From a column to the next, the middle of bin b turns by b half turns.
        signs = torch.ones(SUBFRAMES, self.bins)
        signs[1, 1::2] = -1
        self.register_buffer("signs", signs[..., None], persistent=False)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("past", self.frames - 1, SIDES, SUBFRAMES, self.bins, 2, device=device)
        return state

    def forward(self, spectrum: Tensor, level: Tensor) -> Tensor:
        """``spectrum`` [B, T, 2, 2, 961] complex, ``level`` [B, T] → [B·T, 30, dim]."""
        low = F.pad(self._demodulated(spectrum), (0, 0) * 4 + (self.frames - 1, 0))
        frames = low.unfold(1, self.frames, 1).movedim(-1, 2).flatten(0, 1)
        with torch.autocast(frames.device.type, enabled=False):  # what cancels out needs all digits
            parts = self._resolved(frames, level.flatten())
        return self._bands(parts)

    def _demodulated(self, spectrum: Tensor) -> Tensor:
        return torch.view_as_real(spectrum[..., : self.bins]) * self.signs

    def _resolved(self, frames: Tensor, level: Tensor) -> Tensor:
        """``frames`` [M, frames, 2 sides, 2 subframes, bins, 2] → log power of the parts [M, bins, 2 sides · PARTS]."""
        rows = frames.permute(0, 2, 4, 1, 3, 5).flatten(3)
        power = (rows @ self.filters).unflatten(-1, (PARTS, 2)).square().sum(-1)
        return log_power(power, level).transpose(1, 2).flatten(2)

    def _bands(self, parts: Tensor) -> Tensor:
        return F.pad(self.project(parts), (0, 0, 0, TRUNK_BANDS - BANDS))
