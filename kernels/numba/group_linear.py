"""A linear map for each of some groups on the CPU. Contract and formula: `kernels.reference.group_linear`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit
from kernels.numba.kept import Kept
from kernels.numba.linear import add_rows
from kernels.numba.matrices import halved
from kernels.reference.group_linear import GroupWeights


def group_linear(weights: GroupWeights, x: Tensor, more: Tensor | None = None) -> Tensor:
    """As :func:`kernels.reference.group_linear`; float32 CPU tensors only (TypeError), no gradients."""
    if x.dtype != torch.float32 or x.device.type != "cpu":
        raise TypeError(f"group_linear of numba takes float32 on the CPU, got {x.dtype} on {x.device}")
    y = torch.empty(x.shape[0], *weights.bias.shape)
    _map(array(x), *_kept(weights), _NOTHING if more is None else array(more), y.numpy())
    return y


def _halved(weights: GroupWeights) -> tuple[Any, Any, Any]:
    (weight,) = halved((weights.weight,))
    return weight, array(weights.bias), array(weights.heard)


_kept: Kept[GroupWeights, tuple[Any, Any, Any]] = Kept(_halved)
_NOTHING = np.zeros((0, 0), np.float32)


@jit
def _map(
    x: Any,  # [M, N, I]
    weight: Any,  # [G, I, O]
    bias: Any,  # [G, O]
    heard: Any,  # [G]
    more: Any,  # [G, O], or nothing
    y: Any,  # [M, G, O]
) -> None:
    slots, outputs = x.shape[0], bias.shape[1]
    rows = np.empty((slots, x.shape[2]), np.float32)
    out = np.empty((slots, outputs), np.float32)
    for g in range(len(heard)):  # a group's weights are read once for all slots
        for m in range(slots):
            for i in range(x.shape[2]):
                rows[m, i] = x[m, heard[g], i]
            for i in range(outputs):
                out[m, i] = bias[g, i]
            if len(more):
                for i in range(outputs):
                    out[m, i] += more[g, i]
        add_rows(rows, weight[g], out)
        for m in range(slots):
            for i in range(outputs):
                y[m, g, i] = out[m, i]
