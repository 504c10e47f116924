"""RMSNorm, SwiGLU and the gated MLP inside compiled kernels. Knows rows of float32; formulas in `kernels.reference`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from kernels.numba.compile import jit
from kernels.numba.linear import add_linear

_EPS = np.float32(1e-6)


def array(tensor: Tensor) -> Any:
    """A tensor's numbers in C order; a view where they already are."""
    return np.ascontiguousarray(tensor.detach().numpy())


@jit
def norm_rows(x: Any, weight: Any, y: Any) -> None:
    """y = rms_norm(x) · weight: x and y ``[M, D]``, weight ``[D]``."""
    one = np.float32(1)
    for r in range(x.shape[0]):
        total = np.float32(0)
        for i in range(x.shape[1]):
            total += x[r, i] * x[r, i]
        scale = one / np.float32(math.sqrt(total / np.float32(x.shape[1]) + _EPS))
        for i in range(x.shape[1]):
            y[r, i] = x[r, i] * scale * weight[i]


@jit
def swiglu_rows(gate_up: Any, y: Any) -> None:
    """y = silu(gate) · up: gate_up ``[M, 2·H]``, y ``[M, H]``."""
    half = y.shape[1]
    one = np.float32(1)
    for r in range(y.shape[0]):
        for i in range(half):
            gate = gate_up[r, i]
            y[r, i] = gate / (one + math.exp(-gate)) * gate_up[r, half + i]


@jit
def mlp_rows(x: Any, norm: Any, gate_up: Any, down: Any) -> None:
    """x += swiglu(rms_norm(x) · gate_upᵀ) · downᵀ, x ``[M, D]`` in place."""
    normed = np.empty_like(x)
    norm_rows(x, norm, normed)
    opened = np.zeros((x.shape[0], gate_up.shape[0]), dtype=np.float32)
    add_linear(normed, gate_up, opened)
    hidden = np.empty((x.shape[0], gate_up.shape[0] // 2), dtype=np.float32)
    swiglu_rows(opened, hidden)
    add_linear(hidden, down, x)
