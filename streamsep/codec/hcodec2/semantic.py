"""Semantic encoder and decoder: teacher features at 50 Hz ↔ channels at the token rate. Knows no teacher.

**Never causal**: all padding is symmetric; a token sees 400 ms of features past its beginning. The streaming codec
describes one frame at a time instead.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.codec.hcodec2.config import SemanticDecoderConfig, SemanticEncoderConfig


class Conv(nn.Module):
    """Convolution with symmetric zeros: 3 frames at stride 1, else two strides."""

    def __init__(self, channels: int, out: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        kernel = 3 if stride == 1 else 2 * stride
        self.conv = nn.Conv1d(channels, out, kernel, stride, (kernel - 1) // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Deconv(nn.Module):
    """Transposed convolution, ``stride`` times as long."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose1d(
            channels, out, 2 * stride, stride, padding=(stride + 1) // 2, output_padding=stride % 2
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv(x)


class ResidualUnit(nn.Module):
    """ELU, convolution of 3 frames, ELU, convolution of one; residual."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = Conv(dim, dim)
        self.conv2 = nn.Conv1d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.elu(self.conv1(F.elu(x))))


class EncoderBlock(nn.Module):
    """Two residual units, then a convolution that shortens by ``stride``."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.res_units = nn.Sequential(ResidualUnit(channels), ResidualUnit(channels))
        self.conv = Conv(channels, out, stride, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.res_units(x))


class DecoderBlock(nn.Module):
    """A convolution that lengthens by ``stride``, then two residual units."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv = Conv(channels, out, bias=True) if stride == 1 else Deconv(channels, out, stride)
        self.res_units = nn.Sequential(ResidualUnit(out), ResidualUnit(out))

    def forward(self, x: Tensor) -> Tensor:
        return self.res_units(self.conv(x))


class SemanticEncoder(nn.Module):
    """Features [B, input_channels, frames] → [B, out_channels, tokens]."""

    def __init__(self, cfg: SemanticEncoderConfig) -> None:
        super().__init__()
        widths = [cfg.encode_channels, *(int(cfg.encode_channels * ratio) for ratio in cfg.channel_ratios)]
        self.conv = Conv(cfg.input_channels, cfg.encode_channels)
        self.conv_blocks = nn.Sequential(
            *(EncoderBlock(a, b, stride) for a, b, stride in zip(widths, widths[1:], cfg.strides, strict=False))
        )
        self.conv2 = Conv(widths[-1], cfg.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv_blocks(self.conv(x)))


class SemanticDecoder(nn.Module):
    """Embedding [B, code_dim, tokens] → features [B, output_channels, frames]."""

    def __init__(self, cfg: SemanticDecoderConfig) -> None:
        super().__init__()
        widths = [*(int(cfg.decode_channels * ratio) for ratio in cfg.channel_ratios), cfg.decode_channels]
        self.conv1 = Conv(cfg.code_dim, widths[0])
        self.conv_blocks = nn.Sequential(
            *(DecoderBlock(a, b, stride) for a, b, stride in zip(widths, widths[1:], cfg.strides, strict=False))
        )
        self.conv2 = Conv(cfg.decode_channels, cfg.output_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv_blocks(self.conv1(x)))
