"""RMSNorm on the CPU. Contract and formula: `kernels.reference.rms_norm`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kernels.numba.parts import array, norm_rows, rows_of
from kernels.reference.rms_norm import EPS


def rms_norm(x: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """As :func:`kernels.reference.rms_norm`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("rms_norm", x)
    y = np.empty_like(rows)
    norm_rows(rows, array(weight), y, np.float32(eps))
    return torch.from_numpy(y).view(x.shape)
