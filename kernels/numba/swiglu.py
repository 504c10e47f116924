"""SwiGLU gate on the CPU. Contract and formula: `kernels.reference.swiglu`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kernels.numba.parts import rows_of, swiglu_rows


def swiglu(gate_up: Tensor) -> Tensor:
    """As :func:`kernels.reference.swiglu`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("swiglu", gate_up)
    y = np.empty((rows.shape[0], rows.shape[1] // 2), np.float32)
    swiglu_rows(rows, y)
    return torch.from_numpy(y).view(*gate_up.shape[:-1], -1)
