"""Temporal transformer: one step a frame. Knows positions and windows; knows nothing of codes or stems."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from kernels.reference import LayerWeights, apply_rope, rope_frequencies, rope_rotation, temporal_step, window_attention
from kernels.reference.paged_step import paged_step
from streamsep.config import LOOKAHEADS, LMConfig
from streamsep.lm.block import Projections, RMSNorm, SwiGLU, init_block, layer_weights
from streamsep.lm.pages import PagedState, Pages
from streamsep.streaming import State, StreamModule


class TemporalBlock(nn.Module):
    """Pre-norm layer: sliding-window attention, then SwiGLU, both residual."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.window = config.window
        self.attention_norm = RMSNorm(config.dim)
        self.attention = Projections(config.dim, config.heads, config.kv_heads)
        self.mlp_norm = RMSNorm(config.dim)
        self.mlp = SwiGLU(config.dim, config.mlp_dim)
        init_block(self, config.layers)
        self._weights: LayerWeights | None = None

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x ``[B, T, D]``; cos, sin ``[B or 1, T, head_dim / 2]``. Returns ``[B, T, D]``."""
        q, k, v = self.attention.split(self.attention_norm(x))
        q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
        x = x + self.attention.merge(window_attention(q, k, v, self.window))
        return x + self.mlp(self.mlp_norm(x))

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        """Ring caches ``k`` and ``v`` ``[slots, window, kv_heads, head_dim]``."""
        state = State(slots)
        for name in ("k", "v"):
            state.add(name, self.window, self.attention.kv_heads, self.attention.head_dim, device=device)
        return state

    def weights(self) -> LayerWeights:
        """The layer's parameters, gathered once."""
        if self._weights is None or self._weights.attention_norm is not self.attention_norm.weight:
            self._weights = layer_weights(self.attention_norm, self.attention, self.mlp_norm, self.mlp)
        return self._weights


class TemporalTransformer(StreamModule):
    """Condition and history, frame by frame → hidden state. Constant memory however long the stream."""

    frequencies: Tensor

    def __init__(self, config: LMConfig, condition_dim: int) -> None:
        super().__init__()
        self.condition = nn.Linear(condition_dim, config.dim)
        self.lookahead = nn.Embedding(len(LOOKAHEADS), config.dim)
        self.layers = nn.ModuleList(TemporalBlock(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim)
        frequencies = rope_frequencies(config.dim // config.heads, config.rope_theta)
        self.register_buffer("frequencies", frequencies, persistent=False)
        # Other implementations may be put in their place.
        self.layer_step: Callable[..., Tensor] = temporal_step
        self.paged_step: Callable[..., Tensor] = paged_step
        nn.init.normal_(self.lookahead.weight, std=0.1)

    @property
    def blocks(self) -> list[TemporalBlock]:
        return cast("list[TemporalBlock]", list(self.layers))

    def forward(self, c: Tensor, history: Tensor, lookahead: Tensor, start: Tensor | None = None) -> Tensor:
        """Whole sequences.

        Args:
            c: ``[B, T, condition_dim]``, what the condition encoder heard.
            history: ``[B, T, D]``, embedding of the codes emitted one step before.
            lookahead: ``[B]`` int64, index into ``LOOKAHEADS``.
            start: ``[B]`` int64, position of the first frame; 0 when None.

        Returns h ``[B, T, D]``.
        """
        position = torch.arange(c.shape[1], device=c.device).unsqueeze(0)
        if start is not None:
            position = position + start.unsqueeze(1)
        cos, sin = rope_rotation(position, self.frequencies)
        x = self.condition(c) + history + self.lookahead(lookahead).unsqueeze(1)
        for layer in self.blocks:
            x = layer(x, cos, sin)
        return self.norm(x)

    def init_state(self, slots: int, device: torch.device | str = "cpu", pages: Pages | None = None) -> State:
        """``position`` ``[slots]`` int64 (frames so far) and one child ``layer<i>`` of ring caches a layer, or, with
        ``pages``, a table of the slots' pages there.
        """
        state = State(slots) if pages is None else PagedState(slots, pages)
        state.add("position", dtype=torch.int64, device=device)
        if pages is None:
            for i, layer in enumerate(self.blocks):
                state.nest(f"layer{i}", layer.init_state(slots, device))
        return state

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, c: Tensor, history: Tensor, lookahead: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """One frame: c ``[B, condition_dim]``, history ``[B, D]``, lookahead ``[B]``. Returns h ``[B, D]``."""
        cos, sin = rope_rotation(state["position"], self.frequencies)
        return self.step_rows(self.condition(c) + history + self.lookahead(lookahead), cos, sin, state, active)

    def step_rows(self, x: Tensor, cos: Tensor, sin: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """``step`` from what enters on: x ``[B, D]``, cos and sin of the position ``[B, head_dim / 2]``."""
        position = state["position"]
        for i, layer in enumerate(self.blocks):
            weights = layer.weights()
            if isinstance(state, PagedState):
                keys, values = state.pages.keys(i), state.pages.values(i)
                x = self.paged_step(weights, x, keys, values, state.table, position, cos, sin, active)
            else:
                cache = state.child(f"layer{i}")
                x = self.layer_step(weights, x, cache["k"], cache["v"], position, cos, sin, active)
        state.put("position", position + 1, active)
        return self.norm(x)
