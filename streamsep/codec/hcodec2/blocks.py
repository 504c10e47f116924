"""Residual blocks of encoder and decoder, [B, C, T] → [B, C, T]. Knows channels and time; knows nothing of sound."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.codec.hcodec2.conv import Conv1d

EPS = 1e-6
GROUPS = 32


class Transpose(nn.Module):
    """Swap the last two axes; stands where the published sequence counts one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Pointwise(nn.Module):
    """A linear map over the last axis, under the published name."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution of 7 frames, layer norm over channels, MLP, per-channel scale, residual.

    Causal when asked for: the norm sees one frame at a time.
    """

    def __init__(self, dim: int, hidden: int, causal: bool, scale: float = 1.0) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), scale))
        self.dwconv = Conv1d(dim, dim, 7, groups=dim, causal=causal)
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.pwconv1 = Pointwise(dim, hidden)
        self.pwconv2 = Pointwise(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).transpose(1, 2))
        y = self.pwconv2(F.gelu(self.pwconv1(y))) * self.gamma
        return x + y.transpose(1, 2)


class ResnetBlock(nn.Module):
    """Two times group norm, SiLU and a convolution of 3 frames, residual.

    **Never causal**, whatever the flag says: the group norms take their statistics over all frames. The streaming
    codec has norms over the channels of one frame in their place.
    """

    def __init__(self, dim: int, causal: bool, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, dim, eps=EPS)
        self.conv1 = Conv1d(dim, dim, 3, causal=causal)
        self.norm2 = nn.GroupNorm(GROUPS, dim, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = Conv1d(dim, dim, 3, causal=causal)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(self.dropout(F.silu(self.norm2(y))))
