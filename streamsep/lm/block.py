"""The parts both transformers are made of: norm, projections, gated MLP. Knows nothing of time, windows or codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from kernels.reference import LayerWeights, rms_norm, swiglu


class RMSNorm(nn.Module):
    """Root-mean-square norm with a learned scale over the last axis."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight)


class SwiGLU(nn.Module):
    """``[..., dim] → [..., dim]`` through ``hidden`` gated units."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(swiglu(self.gate_up(x)))


class Projections(nn.Module):
    """Query, key and value projections of grouped-query attention in one matrix, and the way back."""

    def __init__(self, dim: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        if dim % heads or heads % kv_heads:
            raise ValueError(
                f"attention needs heads that divide dim and kv_heads that divide heads, got {dim}, {heads}, {kv_heads}"
            )
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, dim // heads
        self.qkv = nn.Linear(dim, (heads + 2 * kv_heads) * self.head_dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[..., dim]`` → q ``[..., heads, head_dim]``, k and v ``[..., kv_heads, head_dim]``."""
        rows = self.qkv(x).unflatten(-1, (-1, self.head_dim))
        q, k, v = rows.split((self.heads, self.kv_heads, self.kv_heads), dim=-2)
        return q, k, v

    def merge(self, x: Tensor) -> Tensor:
        """``[..., heads, head_dim]`` → ``[..., dim]``."""
        return self.out(x.flatten(-2))


def layer_weights(attention_norm: RMSNorm, attention: Projections, mlp_norm: RMSNorm, mlp: SwiGLU) -> LayerWeights:
    """Views of a layer's weights, as the fused kernels want them."""
    return LayerWeights(
        attention_norm.weight,
        attention.qkv.weight,
        attention.out.weight,
        mlp_norm.weight,
        mlp.gate_up.weight,
        mlp.down.weight,
    )


def init_block(block: nn.Module, layers: int) -> None:
    """Weights of variance 1 / fan-in; what is added to the residual stream is scaled down by the depth (GPT-2)."""
    for name, module in block.named_modules():
        if isinstance(module, nn.Linear):
            scale = 1 / math.sqrt(2 * layers) if name.endswith(("out", "down")) else 1.0
            nn.init.normal_(module.weight, std=scale / math.sqrt(module.in_features))
