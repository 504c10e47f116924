"""Band-split causal Conformer: frequency is an axis of a few tokens, time is causal with bounded left context.

A block is the Conformer's (Gulati et al., arXiv 2005.08100) — half feed-forward, attention over time, convolution over
time, half feed-forward — with attention over bands added, as band-split separators do (Lu et al., arXiv 2309.02612).
Time attention and convolution run in every token's bands with shared weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
        self.norm = nn.RMSNorm(dim)
        self.up = nn.Linear(dim, 2 * mult * dim, bias=False)
        self.down = nn.Linear(mult * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.up(self.norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * value)


class TimeAttention(StreamModule):
    """Causal attention along time in each band, with a learned bias for each distance 0 … W-1."""

    def __init__(self, tokens: int, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.heads, self.window, self.head_dim = heads, window, dim // heads
        self.norm = nn.RMSNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.distance = nn.Parameter(torch.zeros(heads, window))

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        shape = (self.tokens, self.heads, self.window, self.head_dim)
        state.add("key", *shape, device=device)
        state.add("value", *shape, device=device)
        state.add("position", dtype=torch.int64, device=device)
        return state

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

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, N, dim] → the same shape; keys and values live in a ring of W frames."""
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, n, 3, self.heads, self.head_dim).unbind(2)
        if b == 1 and active is None and x.device.type == "cpu":
            bias = self._remember_alone(k, v, state)
        else:
            bias = self._remember(k, v, state, active)
        y = masked_softmax_attention(q.unsqueeze(3), state["key"], state["value"], bias)
        state.put("position", state["position"] + 1, active)
        return x + self.out(y.reshape(b, n, d))

    def _remember(self, k: Tensor, v: Tensor, state: State, active: Tensor | None) -> Tensor:
        """Write ``k`` and ``v`` [B, N, H, d] into the rings; returns the bias of their cells, [B, 1, H, 1, W]."""
        position = state["position"]
        slot = torch.arange(k.shape[0], device=k.device)
        cell = position % self.window
        for name, new in (("key", k), ("value", v)):
            if active is not None:
                new = torch.where(active[:, None, None, None], new, state[name][slot, :, :, cell])
            state[name][slot, :, :, cell] = new
        age = (position[:, None] - torch.arange(self.window, device=k.device)) % self.window  # [B, W]
        bias = self.distance[:, age].transpose(0, 1).masked_fill((age > position[:, None])[:, None], float("-inf"))
        return bias[:, None, :, None]

    def _remember_alone(self, k: Tensor, v: Tensor, state: State) -> Tensor:
        """The same for one stream on a CPU, where a plain slice is much cheaper than an index."""
        position = int(state["position"])
        cell = position % self.window
        state["key"][:, :, :, cell] = k
        state["value"][:, :, :, cell] = v
        # Ages run down from `cell` to 0, then from W - 1 down to what is oldest.
        bias = torch.cat([self.distance[:, : cell + 1].flip(1), self.distance[:, cell + 1 :].flip(1)], 1)
        if position < self.window - 1:
            bias[:, position + 1 :] = float("-inf")
        return bias[None, None, :, None]


class TimeConvolution(StreamModule):
    """Conformer convolution module: GLU, causal depthwise convolution over time, SiLU. No norm over time."""

    def __init__(self, tokens: int, dim: int, kernel: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.kernel = kernel
        self.norm = nn.RMSNorm(dim)
        self.up = nn.Linear(dim, 2 * dim, bias=False)
        self.depthwise = nn.Parameter(torch.randn(kernel, dim) * kernel**-0.5)
        self.inner_norm = nn.RMSNorm(dim)
        self.down = nn.Linear(dim, dim, bias=False)
        self.dim = dim

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("past", self.tokens, self.kernel - 1, self.dim, device=device)
        return state

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, N, T, dim] → the same shape."""
        frames = x.shape[2]
        h = F.pad(F.glu(self.up(self.norm(x)), -1), (0, 0, self.kernel - 1, 0))
        y = h[:, :, :frames] * self.depthwise[0]
        for i in range(1, self.kernel):
            y = y + h[:, :, i : i + frames] * self.depthwise[i]
        return x + self.down(F.silu(self.inner_norm(y)))

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, N, dim] → the same shape."""
        h = F.glu(self.up(self.norm(x)), -1)
        window = torch.cat([state["past"], h.unsqueeze(2)], 2)
        y = (window * self.depthwise).sum(2)
        state.put("past", window[:, :, 1:], active)
        return x + self.down(F.silu(self.inner_norm(y)))


class BandAttention(nn.Module):
    """Attention over the bands of one frame, [..., N, dim] → the same shape."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        *lead, n, d = x.shape
        q, k, v = self.qkv(self.norm(x)).view(-1, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
        y = torch.softmax(scores, -1) @ v
        return x + self.out(y.transpose(1, 2).reshape(*lead, n, d))


class ConformerBlock(StreamModule):
    """One block over [B, N bands, T frames, dim]."""

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        self.first = FeedForward(cfg.dim, cfg.ff_mult)
        self.time = TimeAttention(cfg.tokens, cfg.dim, cfg.heads, cfg.left_context)
        self.conv = TimeConvolution(cfg.tokens, cfg.dim, cfg.kernel)
        self.bands = BandAttention(cfg.dim, cfg.heads)
        self.second = FeedForward(cfg.dim, cfg.ff_mult)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.nest("time", self.time.init_state(slots, device))
        state.nest("conv", self.conv.init_state(slots, device))
        return state

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.time(self.first(x)))
        x = self.bands(x.transpose(1, 2)).transpose(1, 2)
        return self.second(x)

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        x = self.time.step(self.first(x), state.child("time"), active)
        x = self.conv.step(x, state.child("conv"), active)
        return self.second(self.bands(x))


class Conformer(StreamModule):
    """Stack of blocks with a final norm."""

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConformerBlock(cfg) for _ in range(cfg.layers))
        self.norm = nn.RMSNorm(cfg.dim)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        for i, block in enumerate(self.blocks):
            assert isinstance(block, ConformerBlock)
            state.nest(str(i), block.init_state(slots, device))
        return state

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [B, N, T, dim] → the same shape."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``x`` [B, N, dim] → the same shape."""
        for i, block in enumerate(self.blocks):
            assert isinstance(block, ConformerBlock)
            x = block.step(x, state.child(str(i)), active)
        return self.norm(x)
