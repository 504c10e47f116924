"""Transformer whose queries, keys and values come out of an LSTM, [B, T, C] → [B, T, C]. Knows frames, not tokens.

**Not streaming**: without ``causal``, attention sees the whole utterance; with it, everything since the beginning. The
LSTM starts from zero at each call and never forgets within one. The streaming codec has neither; its memory is the
bounded reach of convolutions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6
THETA = 10_000.0
HEAD_DIM = 64
WIDEST_MLP = 4_096


def rotate(x: Tensor, theta: float = THETA) -> Tensor:
    """Rotary position embedding of [B, H, T, d] from position 0 on, pairing channel i with i + d / 2; in float32."""
    half = x.shape[-1] // 2
    rate = theta ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)[:, None] * rate
    cos, sin = angle.cos(), angle.sin()
    first, second = x.float().split(half, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


class Attention(nn.Module):
    """LSTM, then attention over what it put out; the LSTM is not skipped around."""

    def __init__(self, dim: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.rnn = nn.LSTM(dim, dim, batch_first=True)
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.o_proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rnn(x)[0]
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=self.causal)
        return self.o_proj(y.transpose(1, 2).flatten(-2))


class MLP(nn.Module):
    """SwiGLU: w2(silu(w1·x) · w3·x)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Layer(nn.Module):
    """Pre-norm layer."""

    def __init__(self, dim: int, heads: int, hidden: int, causal: bool) -> None:
        super().__init__()
        self.self_attn = Attention(dim, heads, causal)
        self.mlp = MLP(dim, hidden)
        self.input_layernorm = nn.RMSNorm(dim, eps=EPS)
        self.post_attention_layernorm = nn.RMSNorm(dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """A stack of layers without a norm at its end. ``heads`` and ``hidden`` follow from ``dim`` when None."""

    def __init__(
        self, dim: int, layers: int, causal: bool, heads: int | None = None, hidden: int | None = None
    ) -> None:
        super().__init__()
        heads = max(dim // HEAD_DIM, 1) if heads is None else heads
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")
        hidden = min(4 * dim, WIDEST_MLP) if hidden is None else hidden
        self.layers = nn.ModuleList(Layer(dim, heads, hidden, causal) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x
