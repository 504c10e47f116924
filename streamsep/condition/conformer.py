"""Band-split causal Conformer: frequency is an axis of a few tokens, time is causal with bounded left context.

A block is the Conformer's (Gulati et al., arXiv 2005.08100) — half feed-forward, attention over time, convolution over
time, half feed-forward — with attention over bands added, as band-split separators do (Lu et al., arXiv 2309.02612).
Time attention and convolution run in every token with shared weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.reference.conformer_step import ConformerWeights, conformer_step
from kernels.reference.rms_norm import EPS
from streamsep.config import ConditionConfig
from streamsep.streaming import State, StreamModule


def masked_softmax_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax(q·kᵀ/√d + bias)·v over the last two axes: q [..., Tq, d], k and v [..., Tk, d], bias [..., Tq, Tk]."""
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias
    return torch.softmax(scores, -1) @ v


class FeedForward(nn.Module):
    """Half-step SwiGLU feed-forward, [..., dim] → [..., dim]."""

    def __init__(self, dim: int, mult: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim, EPS)
        self.up = nn.Linear(dim, 2 * mult * dim, bias=False)
        self.down = nn.Linear(mult * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.up(self.norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * value)


class TimeAttention(nn.Module):
    """Causal attention along time in each token, with a learned bias for each distance 0 … W-1."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window, self.head_dim = heads, window, dim // heads
        self.norm = nn.RMSNorm(dim, EPS)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.distance = nn.Parameter(torch.zeros(heads, window))

    def _bias(self, frames: int) -> Tensor:
        """[heads, T, T]: distance bias inside the window, -inf elsewhere."""
        t = torch.arange(frames, device=self.distance.device)
        lag = t[:, None] - t[None, :]
        inside = (lag >= 0) & (lag < self.window)
        return torch.where(inside, self.distance[:, lag.clamp(0, self.window - 1)], float("-inf"))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, N, T, dim] → the same shape."""
        b, n, t, d = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b * n, t, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        y = masked_softmax_attention(q, k, v, self._bias(t).to(q.dtype))
        return x + self.out(y.transpose(1, 2).reshape(b, n, t, d))


class TimeConvolution(nn.Module):
    """Conformer convolution module: GLU, causal depthwise convolution over time, SiLU. No norm over time."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.norm = nn.RMSNorm(dim, EPS)
        self.up = nn.Linear(dim, 2 * dim, bias=False)
        self.depthwise = nn.Parameter(torch.randn(kernel, dim) * kernel**-0.5)
        self.inner_norm = nn.RMSNorm(dim, EPS)
        self.down = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, N, T, dim] → the same shape."""
        frames = x.shape[2]
        h = F.pad(F.glu(self.up(self.norm(x)), -1), (0, 0, self.kernel - 1, 0))
        y = h[:, :, :frames] * self.depthwise[0]
        for i in range(1, self.kernel):
            y = y + h[:, :, i : i + frames] * self.depthwise[i]
        return x + self.down(F.silu(self.inner_norm(y)))


class BandAttention(nn.Module):
    """Attention over the bands of one frame, [..., N, dim] → the same shape."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(dim, EPS)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        *lead, n, d = x.shape
        q, k, v = self.qkv(self.norm(x)).view(-1, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
        y = torch.softmax(scores, -1) @ v
        return x + self.out(y.transpose(1, 2).reshape(*lead, n, d))


class ConformerBlock(nn.Module):
    """One block over [B, N tokens, T frames, dim]; its step is the op ``conformer_step``."""

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        self.tokens = cfg.tokens
        self.first = FeedForward(cfg.dim, cfg.ff_mult)
        self.time = TimeAttention(cfg.dim, cfg.heads, cfg.left_context)
        self.conv = TimeConvolution(cfg.dim, cfg.kernel)
        self.bands = BandAttention(cfg.dim, cfg.heads)
        self.second = FeedForward(cfg.dim, cfg.ff_mult)
        self._weights: ConformerWeights | None = None

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        ring = (self.tokens, self.time.heads, self.time.window, self.time.head_dim)
        state.add("key", *ring, device=device)
        state.add("value", *ring, device=device)
        state.add("past", self.tokens, self.conv.kernel - 1, self.conv.depthwise.shape[1], device=device)
        return state

    def weights(self) -> ConformerWeights:
        """The block's parameters, gathered once: looking 18 of them up costs as much as a tenth of a step."""
        first = self.first
        if self._weights is not None and self._weights.first_norm is first.norm.weight:
            return self._weights
        time, conv, bands, second = self.time, self.conv, self.bands, self.second
        self._weights = ConformerWeights(
            *(first.norm.weight, first.up.weight, first.down.weight),
            *(time.norm.weight, time.qkv.weight, time.out.weight, time.distance),
            *(conv.norm.weight, conv.up.weight, conv.depthwise, conv.inner_norm.weight, conv.down.weight),
            *(bands.norm.weight, bands.qkv.weight, bands.out.weight),
            *(second.norm.weight, second.up.weight, second.down.weight),
        )
        return self._weights

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.time(self.first(x)))
        x = self.bands(x.transpose(1, 2)).transpose(1, 2)
        return self.second(x)


class Conformer(StreamModule):
    """Stack of blocks with a final norm."""

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConformerBlock(cfg) for _ in range(cfg.layers))
        self.norm = nn.RMSNorm(cfg.dim, EPS)
        self.conformer_step: Callable[..., Tensor] = conformer_step  # another implementation may be put in its place

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        """``position`` ``[slots]`` int64 (frames so far) and one child ``block<i>`` a block."""
        state = State(slots)
        state.add("position", dtype=torch.int64, device=device)
        for i, block in enumerate(self._blocks()):
            state.nest(f"block{i}", block.init_state(slots, device))
        return state

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, N, T, dim] → the same shape."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, N, dim] → the same shape."""
        position = state["position"]
        for i, block in enumerate(self._blocks()):
            own = state.child(f"block{i}")
            x = self.conformer_step(block.weights(), x, own["key"], own["value"], own["past"], position, active)
        state.put("position", position + 1, active)
        return self.norm(x)

    def _blocks(self) -> list[ConformerBlock]:
        return cast("list[ConformerBlock]", list(self.blocks))
