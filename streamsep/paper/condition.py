"""Mixture → embedding, frame by frame: mel bands, then a Conformer or one linear map. Not causal within a segment."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.reference import apply_rope, masked_attention, rope_frequencies, rope_rotation
from streamsep.config import BINS, SAMPLE_RATE, SUBFRAMES
from streamsep.paper.config import PaperConfig

_FLOOR = 1e-6  # power relative to the level, -60 dB


@functools.lru_cache(maxsize=8)
def mel_matrix(mels: int, device: torch.device | str = "cpu") -> Tensor:
    """[961, mels] triangles that overlap to one, their corners equally apart on the HTK mel scale up to 24 kHz."""
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, mels + 2, dtype=torch.float64) / 2595) - 1)
    bins = torch.arange(BINS, dtype=torch.float64) * SAMPLE_RATE / 2 / (BINS - 1)
    # No triangle is narrower than the bins are apart: below, one would fall between two bins and hear nothing.
    width = corners.diff().clamp(min=SAMPLE_RATE / 2 / (BINS - 1))
    rise = 1 - (corners[1:-1] - bins[:, None]) / width[:-1]
    fall = 1 - (bins[:, None] - corners[1:-1]) / width[1:]
    with torch.inference_mode(False):  # training uses it, too
        return torch.minimum(rise, fall).clamp(0, 1).float().to(device)


def log_mels(spectrum: Tensor, level: Tensor, mels: int) -> Tensor:
    """Level-free log mel bands of the mid channel.

    ``spectrum`` [..., 2 sides, 2 subframes, 961] complex, ``level`` [...] mean square → [..., 2·mels]; 0 is 20 dB below
    the mean power of a bin, ±1 is ±30 dB.
    """
    mid = spectrum[..., 0, :, :]
    power = (mid.real.square() + mid.imag.square()) @ mel_matrix(mels, spectrum.device)
    relative = power / (level * BINS)[..., None, None]
    return ((torch.log10(relative + _FLOOR) + 2.0) / 3.0).flatten(-2)


class FeedForward(nn.Module):
    """Half-step feed-forward of a Conformer block."""

    def __init__(self, dim: int, mult: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim)
        self.up = nn.Linear(dim, mult * dim)
        self.down = nn.Linear(mult * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5 * self.down(F.silu(self.up(self.norm(x))))


class Attention(nn.Module):
    """Attention over all frames of the segment, positions rotary."""

    frequencies: Tensor

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.register_buffer("frequencies", rope_frequencies(dim // heads), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        cos, sin = rope_rotation(torch.arange(x.shape[1], device=x.device), self.frequencies)
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        every = torch.zeros(1, 1, device=x.device, dtype=x.dtype)
        y = masked_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v, every)
        return x + self.out(y.flatten(2))


class Convolution(nn.Module):
    """Convolution module of a Conformer block: GLU, depthwise over frames, norm, SiLU. The norm is over channels."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.inner_norm = nn.RMSNorm(dim)
        self.down = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(F.glu(self.up(self.norm(x)), -1).transpose(1, 2)).transpose(1, 2)
        return x + self.down(F.silu(self.inner_norm(y)))


class ConformerBlock(nn.Module):
    """Block of a Conformer (Gulati et al., arXiv 2005.08100), [B, T, dim] → the same shape."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        dim = config.condition_dim
        self.first = FeedForward(dim, config.condition_ff_mult)
        self.attention = Attention(dim, config.condition_heads)
        self.convolution = Convolution(dim, config.condition_kernel)
        self.second = FeedForward(dim, config.condition_ff_mult)
        self.norm = nn.RMSNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.second(self.convolution(self.attention(self.first(x)))))


class MixtureEmbedding(nn.Module):
    """Mixture columns → [B, T, dim] for the language model."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.mels = config.mels
        features = SUBFRAMES * config.mels
        if config.encoder == "linear":
            self.layers = nn.Sequential(nn.Linear(features, config.dim))
        else:
            self.layers = nn.Sequential(
                nn.Linear(features, config.condition_dim),
                *(ConformerBlock(config) for _ in range(config.condition_layers)),
                nn.Linear(config.condition_dim, config.dim),
            )

    def forward(self, spectrum: Tensor, level: Tensor) -> Tensor:
        """``spectrum`` [B, T, 2, 2, 961] complex mid/side, ``level`` [B, T] mean square → [B, T, dim]."""
        return self.layers(log_mels(spectrum, level, self.mels))
