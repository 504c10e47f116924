"""A residual MLP of single rows on the CPU in one call. Contract and formula: `kernels.reference.frame_net`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit, part
from kernels.numba.gelu import gelu
from kernels.numba.kept import Kept
from kernels.numba.linear import add_linear
from kernels.numba.matrices import halved
from kernels.numba.parts import norm_rows, rows_of
from kernels.reference.frame_net import EPS, FrameNetWeights

_EPS = np.float32(EPS)


def frame_net(weights: FrameNetWeights, x: Tensor, outputs: int | None = None) -> Tensor:
    """As :func:`kernels.reference.frame_net`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("frame_net", x)
    wanted = weights.straight.shape[0] if outputs is None else min(outputs, weights.straight.shape[0])
    y = np.zeros((rows.shape[0], wanted), np.float32)
    _pass(rows, *_kept(weights), y)
    return torch.from_numpy(y).view(*x.shape[:-1], wanted)


def _ordered(weights: FrameNetWeights) -> tuple[Any, Any, Any]:
    """Matrices, biases and norms as ``_pass`` goes through them."""
    straight, straight_bias, enter, enter_bias, blocks, norm, leave = weights
    matrices = straight, enter, *(each for block in blocks for each in (block.up, block.down)), leave
    biases = straight_bias, enter_bias, *(each for block in blocks for each in (block.up_bias, block.down_bias))
    norms = *(block.norm for block in blocks), norm
    biases, norms = (tuple(array(x) for x in group) for group in (biases, norms))
    return tuple(halved(matrices)), biases, norms


_kept: Kept[FrameNetWeights, tuple[Any, Any, Any]] = Kept(_ordered)


@jit
def _pass(
    x: Any,  # [M, I]
    matrices: Any,  # tuple: straight, enter, up and down of each block, leave
    biases: Any,  # tuple: of all but the last
    norms: Any,  # tuple: of each block, of the way out
    y: Any,  # [M, O], zeros
) -> None:
    # One product in a loop over matrices: each that stood by itself would be compiled by itself, for seconds.
    h = np.zeros((x.shape[0], matrices[1].shape[0]), np.float32)
    normed = np.empty_like(h)
    hidden = np.empty((0, 0), np.float32)
    last = len(matrices) - 1
    for i in range(last + 1):
        weight = matrices[i]
        if i < 2:
            source, target = x, y if i == 0 else h
        elif i % 2 == 1:
            _gelu_rows(hidden)
            source, target = hidden, h
        else:
            norm_rows(h, norms[i // 2 - 1], normed, _EPS)
            hidden = np.zeros((x.shape[0], weight.shape[0] if i < last else 0), np.float32)
            source, target = normed, hidden if i < last else y
        if i < last:
            _add_bias(biases[i], target)
        add_linear(source, weight[: target.shape[1]], target)


@part
def _add_bias(bias: Any, y: Any) -> None:
    for r in range(y.shape[0]):
        for i in range(y.shape[1]):
            y[r, i] += bias[i]


@part
def _gelu_rows(x: Any) -> None:
    for r in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[r, i] = gelu(x[r, i])
