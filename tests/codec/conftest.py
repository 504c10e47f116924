"""A small codec, and stems of tones, noise and silence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from streamsep.codec.stft import STFT
from streamsep.condition.features import mid_side
from streamsep.config import FRAME, SAMPLE_RATE, SUBFRAMES, CodecConfig

SMALL = CodecConfig(
    semantic_codebooks=3,
    acoustic_codebooks=2,
    codebook_size=32,
    code_dim=16,
    dim=32,
    acoustic_dim=24,
    band_width=4,
    semantic_layers=1,
    encoder_layers=1,
    decoder_layers=2,
    kernel=3,
)


@pytest.fixture
def config() -> CodecConfig:
    return SMALL


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def sounds(batch: int, frames: int, seed: int = 0) -> Tensor:
    """[B, 4, 2, samples]: a gliding voice with harmonics, noise bursts, a low tone, and a stem that pauses."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frames * FRAME) / SAMPLE_RATE

    def one(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, 1, generator=generator)

    pitch = one(150, 400) * (1 + 0.05 * torch.sin(2 * torch.pi * one(1, 5) * time))
    phase = 2 * torch.pi * torch.cumsum(pitch / SAMPLE_RATE, -1)
    voice = sum((torch.sin(k * phase) / k for k in range(1, 8)), torch.zeros_like(phase))
    burst = torch.randn(batch, len(time), generator=generator) * torch.exp(-20 * ((time + one(0, 0.3)) % 0.3))
    bass = torch.sin(2 * torch.pi * one(45, 110) * time)
    pad = torch.sin(2 * torch.pi * one(300, 900) * time) * (torch.sin(2 * torch.pi * one(1, 3) * time) > 0)
    stems = torch.stack([voice, burst, bass, pad], 1) * 10 ** one(-2, -0.5)[:, None]
    side = one(-1, 1)[:, None]
    return torch.stack([stems * (1 + 0.5 * side), stems * (1 - 0.5 * side)], 2)


def columns(waves: Tensor) -> Tensor:
    """[B, S, 2, samples] → [B, T, S, 2, 2, 961] complex mid/side columns."""
    spectrum = STFT()(mid_side(waves, 2)).unflatten(3, (-1, SUBFRAMES))
    return spectrum.permute(0, 3, 1, 2, 4, 5).contiguous()


@pytest.fixture(scope="session")
def stems() -> Tensor:
    """[2, 12, 4, 2, 2, 961] complex."""
    return columns(sounds(2, 12))
