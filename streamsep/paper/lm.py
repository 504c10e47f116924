"""The decoder-only language model: mixture embedding and codes of a segment → logits of every code. Knows no sound."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from kernels.reference import apply_rope, masked_attention, rope_frequencies, rope_rotation
from streamsep.config import STEMS
from streamsep.lm.block import Projections, RMSNorm, SwiGLU, init_block
from streamsep.paper.arrangement import Arrangement
from streamsep.paper.config import PaperConfig


class Cache:
    """Keys and values of one layer, ``[B, L, heads, head_dim]`` each, filled from the front."""

    def __init__(self, batch: int, length: int, heads: int, head_dim: int, device: torch.device) -> None:
        self.k = torch.empty(batch, length, heads, head_dim, device=device)
        self.v = torch.empty_like(self.k)
        self.filled = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the next rows; returns all that is there."""
        rows = slice(self.filled, self.filled + k.shape[1])
        self.k[:, rows], self.v[:, rows] = k, v
        self.filled = rows.stop
        return self.k[:, : rows.stop], self.v[:, : rows.stop]


class Block(nn.Module):
    """A LLaMA layer: pre-norm, rotary attention, SwiGLU."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim)
        self.attention = Projections(config.dim, config.heads, config.heads)
        self.mlp_norm = RMSNorm(config.dim)
        self.mlp = SwiGLU(config.dim, config.mlp_dim)
        init_block(self, config.layers)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor, cache: Cache | None = None) -> Tensor:
        """x ``[B, R, D]``; cos, sin ``[R, head_dim / 2]``; bias ``[R, keys]``. With a cache its rows come first."""
        q, k, v = self.attention.split(self.attention_norm(x))
        q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
        if cache is not None:
            k, v = cache.append(k, v)
        x = x + self.attention.merge(masked_attention(q, k, v, bias))
        return x + self.mlp(self.mlp_norm(x))


class TrackLM(nn.Module):
    """Writes the codes of all stems of a segment, see ``streamsep.paper.arrangement`` for the order."""

    tables: Tensor  # [Q, K, C] code vectors of the codebooks that are written
    frequencies: Tensor

    def __init__(self, config: PaperConfig, tables: Tensor) -> None:
        super().__init__()
        self.config = config
        books, size, width = tables.shape
        self.register_buffer("tables", tables.detach().clone())
        self.project = nn.Parameter(torch.randn(books, width, config.dim) / (books * width) ** 0.5)
        self.unknown = nn.Parameter(torch.randn(books, config.dim) * 0.02)
        self.stem = nn.Parameter(torch.randn(len(STEMS), config.dim) * 0.5)
        self.begin = nn.Parameter(torch.randn(config.dim) * 0.02)  # at the first position of a stem
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim)
        self.head = nn.Parameter(torch.randn(books, config.dim, size) * 0.3 / config.dim**0.5)
        self.head_bias = nn.Parameter(torch.zeros(books, 1, size))
        frequencies = rope_frequencies(config.dim // config.heads, config.rope_theta)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self._arrangements: dict[tuple[int, torch.device], Arrangement] = {}

    @property
    def blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.layers))

    def arrangement(self, frames: int, device: torch.device) -> Arrangement:
        """For segments of ``frames`` tokens (constants, made once)."""
        key = (frames, device)
        if key not in self._arrangements:
            with torch.inference_mode(False):
                self._arrangements[key] = Arrangement.make(self.config.order, frames, self.tables.shape[0], device)
        return self._arrangements[key]

    def rotation(self, plan: Arrangement) -> tuple[Tensor, Tensor]:
        """Cosine and sine of every position, ``[T + P, head_dim / 2]`` each."""
        if self.config.aligned:
            time = torch.cat([torch.arange(plan.frames, device=plan.step.device), plan.step])
        else:
            stems = plan.stem * plan.place.shape[1] + plan.step + plan.frames
            time = torch.cat([torch.arange(plan.frames, device=plan.step.device), stems])
        return rope_rotation(time, self.frequencies)

    def embed(self, fed: Tensor, stem: Tensor, step: Tensor, mixture: Tensor) -> Tensor:
        """Rows of tokens.

        Args:
            fed: ``[B, R, Q]`` codes, -1 where there is none.
            stem, step: ``[R]`` int64, see ``Arrangement``.
            mixture: ``[B, T, D]`` embedding of the mixture.

        Returns ``[B, R, D]``.
        """
        books, size, _ = self.tables.shape
        offset = torch.arange(books, device=fed.device) * size
        vectors = nn.functional.embedding(fed.clamp(min=0) + offset, self.tables.flatten(0, 1))
        known = (fed >= 0).unsqueeze(-1)
        scale = self.tables.square().sum(-1).mean(-1).clamp(min=1e-8).rsqrt() * self.tables.shape[2] ** 0.5
        x = (vectors * known * scale[:, None]).flatten(-2) @ self.project.flatten(0, 1)
        x = x + (~known.squeeze(-1)).to(x.dtype) @ self.unknown + self.stem[stem]
        x = x + (step == 0).to(x.dtype)[:, None] * self.begin
        if self.config.aligned:
            x = x + mixture[:, step.clamp(max=mixture.shape[1] - 1)]
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden rows ``[..., Q, D]``, one for each codebook → ``[..., Q, K]``."""
        rows = self.norm(hidden).flatten(0, -3).transpose(0, 1)
        return torch.baddbmm(self.head_bias, rows, self.head).transpose(0, 1).unflatten(0, hidden.shape[:-2])

    def forward(self, mixture: Tensor, codes: Tensor) -> Tensor:
        """Teacher-forced.

        Args:
            mixture: ``[B, T, D]`` embedding.
            codes: ``[B, T, S, Q]`` int64 as later codes see them, -1 where unknown.

        Returns logits ``[B, T, S, Q, K]``.
        """
        plan = self.arrangement(mixture.shape[1], mixture.device)
        rows = self.embed(plan.fed(codes), plan.stem, plan.step, mixture)
        x = torch.cat([mixture, rows], 1)
        cos, sin = self.rotation(plan)
        for block in self.blocks:
            x = block(x, cos, sin, plan.bias)
        return self.logits(x[:, plan.frames :][:, plan.written()])
