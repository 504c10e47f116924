"""Residual blocks of the codec: along channels only, or along time and channels. Causal, no norm over time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.streaming import State, StreamModule


class FrameBlock(nn.Module):
    """Residual MLP of one frame, [..., dim] → [..., dim]."""

    def __init__(self, dim: int, mult: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim)
        self.up = nn.Linear(dim, mult * dim)
        self.down = nn.Linear(mult * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


class ConvNeXtBlock(StreamModule):
    """ConvNeXt block (Liu et al., arXiv 2201.03545) along time: causal depthwise convolution, then a residual MLP."""

    def __init__(self, dim: int, mult: int, kernel: int) -> None:
        super().__init__()
        self.dim, self.kernel = dim, kernel
        self.depthwise = nn.Parameter(torch.randn(kernel, dim) * kernel**-0.5)
        self.norm = nn.RMSNorm(dim)
        self.up = nn.Linear(dim, mult * dim)
        self.down = nn.Linear(mult * dim, dim)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("past", self.kernel - 1, self.dim, device=device)
        return state

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, T, dim] → the same shape."""
        padded, frames = F.pad(x, (0, 0, self.kernel - 1, 0)), x.shape[1]
        y = padded[:, :frames] * self.depthwise[0]
        for i in range(1, self.kernel):
            y = y + padded[:, i : i + frames] * self.depthwise[i]
        return x + self._mlp(y)

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, dim] → the same shape."""
        window = torch.cat([state["past"], x.unsqueeze(1)], 1)
        state.put("past", window[:, 1:], active)
        return x + self._mlp((window * self.depthwise).sum(1))

    def _mlp(self, y: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(self.norm(y))))


class ConvNeXt(StreamModule):
    """Stack of blocks."""

    def __init__(self, dim: int, mult: int, kernel: int, layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, mult, kernel) for _ in range(layers))

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        for i, block in enumerate(self.blocks):
            assert isinstance(block, ConvNeXtBlock)
            state.nest(str(i), block.init_state(slots, device))
        return state

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, T, dim] → the same shape."""
        for block in self.blocks:
            x = block(x)
        return x

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, dim] → the same shape."""
        for i, block in enumerate(self.blocks):
            assert isinstance(block, ConvNeXtBlock)
            x = block.step(x, state.child(str(i)), active)
        return x
