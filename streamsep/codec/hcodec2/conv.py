"""Convolution with the padding of H-Codec-2.0. Knows lengths; knows nothing of what flows through."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Conv1d(nn.Module):
    """Convolution along time, [B, C, T] → [B, D, T'].

    Zeros are added on both sides, half a kernel each (**not causal**), or with ``causal`` on the left alone,
    ``kernel - stride`` of them:

        kernel 9, stride 4    0 0 0 0 f f f f f f f f …      symmetric: T' = ceil(T / 4)
                            0 0 0 0 0 f f f f f f f f …      causal: T' = floor(T / 4) for a multiple of 4
    """

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, causal: bool = False
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the kernel must be odd, got {kernel}")
        self.padding = (kernel - stride, 0) if causal else (kernel // 2, kernel // 2)
        self.conv = nn.Conv1d(channels, out, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.padding))
