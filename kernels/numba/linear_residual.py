"""A product added to what was there, on the CPU. Contract and formula: `kernels.reference.linear_residual`."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.numba.linear import add_linear
from kernels.numba.parts import array, rows_of


def linear_residual(x: Tensor, weight: Tensor, residual: Tensor) -> Tensor:
    """As :func:`kernels.reference.linear_residual`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("linear_residual", x)
    y = rows_of("linear_residual", residual).copy()
    add_linear(rows, array(weight), y)
    return torch.from_numpy(y).view(residual.shape)
