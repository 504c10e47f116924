"""A causal cousin of Open-Unmix to race against: spectra in, masks of four stems out, one LSTM. Knows no training.

Open-Unmix (Stöter, Uhlich, Liutkus, Mitsufuji 2019) has a bidirectional LSTM a stem over magnitudes; here one
unidirectional LSTM serves all stems, on the resolution of our renderer (STFT 1920/960, mid and side), and the masks sum
to one, so that the stems sum to the mixture. Latency: two hops and half a window, 60 ms at most.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from streamsep.codec.stft import ISTFT, STFT
from streamsep.condition.features import mid_side
from streamsep.config import BINS, FRAME, HOP, STEMS
from streamsep.evaluate.metrics import Sound

_FLOOR = 1e-4  # magnitude


class MaskNet(nn.Module):
    """``width`` of the LSTM's three layers; everything else follows."""

    def __init__(self, width: int, layers: int = 3) -> None:
        super().__init__()
        self.stft, self.istft = STFT(), ISTFT()
        self.into = nn.Sequential(nn.Linear(2 * BINS, width), nn.LayerNorm(width), nn.Tanh())
        self.past = nn.LSTM(width, width, layers, batch_first=True)
        self.out = nn.Sequential(nn.Linear(2 * width, width), nn.LayerNorm(width), nn.ReLU())
        self.masks = nn.Linear(width, len(STEMS) * 2 * BINS)

    def spectra(self, waves: Tensor) -> Tensor:
        """[..., 2, n] left/right, n a multiple of 1920 → [..., 2, columns, 961] complex."""
        return self.stft(mid_side(waves, waves.dim() - 2))

    def forward(self, spectrum: Tensor) -> Tensor:
        """[B, 2, columns, 961] complex of the mixture → masks [B, S, 2, columns, 961], summing to one over S."""
        x = (spectrum.abs() + _FLOOR).log10().transpose(1, 2).flatten(2)
        x = self.into(x)
        x = self.out(torch.cat([x, self.past(x)[0]], -1))
        return self.masks(x).unflatten(-1, (len(STEMS), 2, BINS)).permute(0, 2, 3, 1, 4).softmax(1)

    def loss(self, stems: Tensor) -> Tensor:
        """[B, S, 2, n] true stems → mean absolute error of the complex columns."""
        true = self.spectra(stems)
        mixture = true.sum(1)
        return (self(mixture).to(true.dtype) * mixture.unsqueeze(1) - true).abs().mean()

    @torch.inference_mode()
    def separate(self, mixture: Sound) -> dict[str, Sound]:
        """[2, n] at 48 kHz → stems, aligned."""
        samples = mixture.shape[1]
        padded = np.pad(mixture, [(0, 0), (0, FRAME + -samples % FRAME)])
        spectrum = self.spectra(torch.from_numpy(padded)[None])
        columns = self(spectrum).to(spectrum.dtype) * spectrum.unsqueeze(1)
        waves = mid_side(self.istft(columns), 2)[0, ..., HOP : HOP + samples].numpy()
        return dict(zip(STEMS, waves, strict=True))
