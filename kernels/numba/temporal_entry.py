"""What enters the temporal transformer, on the CPU. Contract and formula: `kernels.reference.temporal_entry`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit
from kernels.numba.kept import Kept, smallest_matrices
from kernels.numba.linear import add_rows
from kernels.numba.matrices import add_product
from kernels.reference.temporal_entry import TemporalEntryWeights

_LOW = (1 << 32) - 1
_TURN = 2 * math.pi / (1 << 32)


def temporal_entry(
    weights: TemporalEntryWeights,
    c: Tensor,
    latent: Tensor,
    index: Tensor,
    position: Tensor,
    lowest: int,
    remembers: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`kernels.reference.temporal_entry`; float32 CPU tensors only (TypeError), no gradients."""
    if c.dtype != torch.float32 or c.device.type != "cpu":
        raise TypeError(f"temporal_entry of numba takes float32 on the CPU, got {c.dtype} on {c.device}")
    x = torch.empty(len(c), len(weights.bias))
    cos, sin = torch.empty(2, len(c), len(weights.frequencies)).unbind()
    places = array(index), array(position), lowest, remembers
    _enter(_kept(weights), array(c), array(latent), *places, x.numpy(), cos.numpy(), sin.numpy())
    return x, cos, sin


_NO_PRODUCT = ("lookahead", "project", "dropped")
_kept: Kept[TemporalEntryWeights, Any] = Kept(partial(smallest_matrices, keep=_NO_PRODUCT))


@jit
def _enter(
    weights: Any,  # of TemporalEntryWeights
    c: Any,  # [B, I]
    latent: Any,  # [B, S, C]
    index: Any,  # [B]
    position: Any,  # [B]
    lowest: int,
    remembers: bool,
    x: Any,  # [B, D]
    cos: Any,  # [B, d]
    sin: Any,
) -> None:
    condition, bias, lookahead, scale, project, dropped, frequencies = weights
    stems, width, _ = project.shape
    past = np.empty((1, width), np.float32)
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[b, i] = bias[i] + lookahead[index[b], i]
        # A sum of its own: what is added to a large number is rounded to the places of that.
        sums = np.zeros((1, x.shape[1]), np.float32)
        known = remembers and position[b] > max(index[b] + lowest, 0)
        for s in range(stems):
            if known:
                for i in range(width):
                    past[0, i] = latent[b, s, i] * scale[0]
                add_rows(past, project[s], sums)
            else:
                for i in range(x.shape[1]):
                    sums[0, i] += dropped[s, i]
        for i in range(x.shape[1]):
            x[b, i] += sums[0, i]
        for i in range(frequencies.shape[0]):
            phase = ((position[b] & _LOW) * frequencies[i]) & _LOW
            if phase > _LOW // 2:
                phase -= _LOW + 1
            angle = phase * _TURN
            cos[b, i], sin[b, i] = math.cos(angle), math.sin(angle)
    add_product(c, condition, x)
