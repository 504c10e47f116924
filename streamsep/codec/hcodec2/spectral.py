"""Samples ↔ log magnitudes and phases. Knows windows and frames; knows nothing of channels inside the net.

Both ways pad or cut (n_fft - hop) / 2 samples at each end, so that T frames are exactly T·hop samples: a frame sees
10 ms of what follows it at 48 kHz, which is **not causal**. The streaming codec frames to the left only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FAINTEST = 1e-5  # of a magnitude, before its logarithm
LOUDEST = 100.0  # of a predicted magnitude


class STFT(nn.Module):
    """Samples [B, L] → [B, n_fft + 2, L / hop]: ln|S| of every bin, then the phase of every bin over π.

    The features of digital silence are those of the FFT's rounding: its phases may be 0 or 1.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, wave: Tensor) -> Tensor:
        edge = (self.n_fft - self.hop) // 2
        frames = F.pad(wave, (edge, edge)).unfold(-1, self.n_fft, self.hop) * self.window
        spectrum = torch.fft.rfft(frames).transpose(1, 2)
        return torch.cat([spectrum.abs().clamp(min=FAINTEST).log(), spectrum.angle() / torch.pi], 1)


class ISTFT(nn.Module):
    """Columns [B, n_fft / 2 + 1, T] complex → samples [B, T·hop], overlap-add over the overlapped squared window."""

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, columns: Tensor) -> Tensor:
        frames = torch.fft.irfft(columns, self.n_fft, dim=1) * self.window[:, None]
        weight = self.window.square()[None, :, None].expand(1, -1, frames.shape[-1])
        edge = (self.n_fft - self.hop) // 2
        kept = slice(edge, edge + frames.shape[-1] * self.hop)
        return self._overlap(frames)[:, kept] / self._overlap(weight)[:, kept]

    def _overlap(self, frames: Tensor) -> Tensor:
        """[B, n_fft, T] → [B, (T - 1)·hop + n_fft]."""
        length = (frames.shape[-1] - 1) * self.hop + self.n_fft
        return F.fold(frames, (1, length), (1, self.n_fft), stride=(1, self.hop)).flatten(1)


class ISTFTHead(nn.Module):
    """Channels [B, T, C] → samples [B, T·hop]: a linear map to log magnitude and phase, then the inverse STFT."""

    def __init__(self, dim: int, n_fft: int, hop: int) -> None:
        super().__init__()
        self.out = nn.Linear(dim, n_fft + 2)
        self.istft = ISTFT(n_fft, hop)

    def forward(self, x: Tensor) -> Tensor:
        log_magnitude, phase = self.out(x).transpose(1, 2).chunk(2, 1)
        return self.istft(torch.polar(log_magnitude.exp().clamp(max=LOUDEST), phase))
