"""One block of a band-split causal Conformer for one frame a slot. Knows one block; knows nothing of its input.

x = x + swiglu(rms_norm(x) · first_upᵀ) · first_downᵀ
q, k, v = split(rms_norm(x) · time_qkvᵀ);  ring[position mod W] = k, v                      (active slots)
x = x + softmax(q·kᵀ/√d + distance[age]) · v · time_outᵀ              over time, in every token
h = glu(rms_norm(x) · conv_upᵀ);  y = Σ_i depthwise[i] · (past, h)[i];  past = its last K-1        (active slots)
x = x + silu(rms_norm(y)) · conv_downᵀ
q, k, v = split(rms_norm(x) · bands_qkvᵀ);  x = x + softmax(q·kᵀ/√d) · v · bands_outᵀ     over the tokens
x = x + swiglu(rms_norm(x) · second_upᵀ) · second_downᵀ
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.reference.case import Case, Cost
from kernels.reference.gated_conv_step import gated_conv_step
from kernels.reference.rms_norm import rms_norm
from kernels.reference.swiglu import swiglu
from kernels.reference.token_attention import token_attention


class ConformerWeights(NamedTuple):
    """In the order of use; every matrix ``[out, in]``."""

    first_norm: Tensor  # [D]
    first_up: Tensor  # [2·M, D]
    first_down: Tensor  # [D, M]
    time_norm: Tensor
    time_qkv: Tensor  # [3·D, D]
    time_out: Tensor  # [D, D]
    distance: Tensor  # [H, W]: bias of a frame so many frames ago
    conv_norm: Tensor
    conv_up: Tensor  # [2·D, D]
    depthwise: Tensor  # [K, D], the newest last
    inner_norm: Tensor
    conv_down: Tensor  # [D, D]
    bands_norm: Tensor
    bands_qkv: Tensor
    bands_out: Tensor
    second_norm: Tensor
    second_up: Tensor
    second_down: Tensor


def conformer_step(
    weights: ConformerWeights,
    x: Tensor,
    key: Tensor,
    value: Tensor,
    past: Tensor,
    position: Tensor,
    active: Tensor | None = None,
) -> Tensor:
    """Advance one block.

    Args:
        weights: see :class:`ConformerWeights`.
        x: ``[B, N, D]``, N tokens a frame.
        key, value: ``[B, N, H, W, D / H]`` rings, changed in place for active slots. Cells never written may hold
            anything, NaN too.
        past: ``[B, N, K-1, D]``, oldest first, changed in place for active slots.
        position: ``[B]`` int64, frames before this one.
        active: ``[B]`` bool, all when None. Other slots' outputs mean nothing.

    Returns ``[B, N, D]``.
    """
    w, heads = weights, key.shape[2]
    x = x + swiglu(rms_norm(x, w.first_norm) @ w.first_up.T) @ w.first_down.T
    q, k, v = (rms_norm(x, w.time_norm) @ w.time_qkv.T).unflatten(-1, (3, heads, -1)).unbind(2)  # [B, N, H, d]
    _write(key, k, position, active)
    _write(value, v, position, active)
    age = (position.unsqueeze(1) - torch.arange(key.shape[3], device=x.device)) % key.shape[3]  # [B, W]
    unwritten = (age > position.unsqueeze(1))[:, None, None, :]
    bias = w.distance[:, age].transpose(0, 1).unsqueeze(1).masked_fill(unwritten, float("-inf"))  # [B, 1, H, W]
    scores = torch.einsum("bnhd,bnhwd->bnhw", q, key) * q.shape[-1] ** -0.5
    weight = torch.where(unwritten, 0.0, scores).add(bias).softmax(-1)
    clean = value.masked_fill(unwritten.unsqueeze(-1), 0.0)
    x = x + torch.einsum("bnhw,bnhwd->bnhd", weight, clean).flatten(-2) @ w.time_out.T
    h = gated_conv_step(rms_norm(x, w.conv_norm) @ w.conv_up.T, past, w.depthwise, w.inner_norm, active)
    x = x + h @ w.conv_down.T
    qkv = rms_norm(x, w.bands_norm) @ w.bands_qkv.T
    x = x + token_attention(qkv.unflatten(-1, (3, heads, -1))).flatten(-2) @ w.bands_out.T
    return x + swiglu(rms_norm(x, w.second_norm) @ w.second_up.T) @ w.second_down.T


def _write(ring: Tensor, new: Tensor, position: Tensor, active: Tensor | None) -> None:
    slot, cell = torch.arange(ring.shape[0], device=ring.device), position % ring.shape[3]
    if active is not None:
        new = torch.where(active[:, None, None, None], new, ring[slot, :, :, cell])
    ring[slot, :, :, cell] = new


def cases() -> list[Case]:
    sizes = {"tokens": 8, "dim": 128, "hidden": 256, "window": 48, "kernel": 5}
    return [Case("tiny, one stream", {"slots": 1, **sizes}), Case("tiny, 64 streams", {"slots": 64, **sizes})]


def cost(slots: int, tokens: int, dim: int, hidden: int, window: int, kernel: int) -> Cost:
    """Of one block with a full window."""
    weights = 6 * dim * hidden + 11 * dim * dim
    rows = slots * tokens
    return Cost(
        flops=2 * rows * (weights + 2 * window * dim + 2 * tokens * dim + kernel * dim),
        bytes=4 * (weights + rows * (2 * window + kernel) * dim),
    )
