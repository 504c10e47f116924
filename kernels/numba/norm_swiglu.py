"""Norm, gate, up and SiLU on the CPU. Contract and formula: `kernels.reference.norm_swiglu`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kernels.numba.parts import array, norm_swiglu_rows, rows_of
from kernels.reference.rms_norm import EPS


def norm_swiglu(x: Tensor, norm: Tensor, gate_up: Tensor, eps: float = EPS) -> Tensor:
    """As :func:`kernels.reference.norm_swiglu`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("norm_swiglu", x)
    y = np.empty((rows.shape[0], gate_up.shape[0] // 2), np.float32)
    norm_swiglu_rows(rows, array(norm), array(gate_up), y, np.float32(eps))
    return torch.from_numpy(y).view(*x.shape[:-1], -1)
