"""Weights of one pre-norm transformer layer, as the fused ops take them. Knows shapes only."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LayerWeights(NamedTuple):
    """Attention then SwiGLU, every matrix ``[out, in]``."""

    attention_norm: Tensor  # [D]
    qkv: Tensor  # [(heads + 2·kv_heads)·head_dim, D]
    out: Tensor  # [D, D]
    mlp_norm: Tensor  # [D]
    gate_up: Tensor  # [2·M, D]
    down: Tensor  # [D, M]
