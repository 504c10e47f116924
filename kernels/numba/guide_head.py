"""Mask logits of the bands on the CPU, in one compiled call. Contract and formula: `kernels.reference.guide_head`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit, part
from kernels.numba.kept import Kept
from kernels.numba.linear import add_linear, add_rows
from kernels.numba.matrices import halved
from kernels.numba.parts import swiglu_rows
from kernels.reference.guide_head import GuideWeights


def guide_head(weights: GuideWeights, tokens: Tensor, target: Tensor, rows: int) -> Tensor:
    """As :func:`kernels.reference.guide_head`; float32 CPU tensors only (TypeError), no gradients."""
    if tokens.dtype != torch.float32 or tokens.device.type != "cpu":
        raise TypeError(f"guide_head of numba takes float32 on the CPU, got {tokens.dtype} on {tokens.device}")
    bands, width = weights.bias.shape
    out = torch.empty(tokens.shape[0], rows, bands * (width // rows))
    _logits(array(tokens), array(target), *_kept(weights), out.numpy())
    return out


def _shaped(weights: GuideWeights) -> tuple[Any, ...]:
    """What ``_logits`` takes: the parts of a group have an axis of their own, and a band is a group of one part."""
    token, split, split_bias, mix, mix_bias, weight, bias = weights
    groups, parts = len(split), len(weight) // len(split)
    split = split.unflatten(2, (parts, -1)).transpose(1, 2)
    split, mix, weight = halved((split, mix, weight))
    token, split_bias, mix_bias, bias = map(array, (token, split_bias, mix_bias, bias))
    return token, split, split_bias.reshape(groups, parts, -1), mix, mix_bias, weight, bias


_kept: Kept[GuideWeights, tuple[Any, ...]] = Kept(_shaped)
_AT_ONCE = 32  # rows of the product that all bands share: what fits into the first cache


@jit
def _logits(
    tokens: Any,  # [M, N, D]
    target: Any,  # [M, R, W]
    token: Any,
    split: Any,  # [G, P, D, W]
    split_bias: Any,  # [G, P, W]
    mix: Any,
    mix_bias: Any,
    weight: Any,  # [R, H, V]
    bias: Any,
    out: Any,  # [M, rows, R·columns]
) -> None:
    slots, bands, width = target.shape
    parts = split.shape[1]
    rows, columns = out.shape[1], bias.shape[1] // out.shape[1]
    # Band after band, and in it slot after slot: a band's weights are read once.
    entering = np.empty((bands * slots, 2 * width), np.float32)
    hidden = np.empty((bands * slots, weight.shape[1]), np.float32)
    heard = np.empty((slots, tokens.shape[2]), np.float32)
    said = np.empty((slots, width), np.float32)
    logits = np.empty((slots, bias.shape[1]), np.float32)
    for b in range(bands):
        group, part_of_group = b // parts, b % parts
        for m in range(slots):
            for i in range(heard.shape[1]):
                heard[m, i] = tokens[m, token[b], i]
            for i in range(width):
                said[m, i] = split_bias[group, part_of_group, i]
        add_rows(heard, split[group, part_of_group], said)
        for m in range(slots):
            for i in range(width):
                entering[b * slots + m, i] = said[m, i]
                entering[b * slots + m, width + i] = target[m, b, i]
    _mix(entering, mix, mix_bias, hidden)
    for b in range(bands):
        for m in range(slots):
            for i in range(bias.shape[1]):
                logits[m, i] = bias[b, i]
        add_rows(hidden[b * slots : (b + 1) * slots], weight[b], logits)
        for m in range(slots):
            for row in range(rows):
                for i in range(columns):
                    out[m, row, b * columns + i] = logits[m, row * columns + i]


@part
def _mix(entering: Any, mix: Any, bias: Any, hidden: Any) -> None:
    """swiglu(entering · mixᵀ + bias): entering ``[rows, 2·W]`` → hidden ``[rows, H]``."""
    opened = np.empty((_AT_ONCE, mix.shape[0]), np.float32)
    for start in range(0, entering.shape[0], _AT_ONCE):
        end = min(start + _AT_ONCE, entering.shape[0])
        for r in range(end - start):
            for i in range(mix.shape[0]):
                opened[r, i] = bias[i]
        add_linear(entering[start:end], mix, opened)
        swiglu_rows(opened, hidden[start:end])
