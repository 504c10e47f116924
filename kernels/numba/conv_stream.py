"""Causal depthwise convolution with carried state on the CPU. Contract: `kernels.reference.conv_stream`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit
from kernels.numba.parts import array, rows_of


def conv_stream(x: Tensor, past: Tensor, weight: Tensor, length: Tensor) -> Tensor:
    """As :func:`kernels.reference.conv_stream`; float32 CPU tensors only (TypeError), no gradients."""
    rows = rows_of("conv_stream", x).reshape(x.shape)
    y = np.empty_like(rows)
    _convolve(rows, past.numpy(), array(weight), array(length), y)
    return torch.from_numpy(y)


@jit
def _convolve(x: Any, past: Any, weight: Any, length: Any, y: Any) -> None:
    slots, frames, dim = x.shape
    before = past.shape[1]
    for b in range(slots):
        for t in range(frames):
            for i in range(dim):
                y[b, t, i] = weight[before, i] * x[b, t, i]
            for k in range(before):
                at = t + k - before
                row = past[b, at + before] if at < 0 else x[b, at]
                for i in range(dim):
                    y[b, t, i] += weight[k, i] * row[i]
        for k in range(before):
            at = k + length[b] - before
            if at >= 0:
                past[b, k] = x[b, at]
            elif length[b] > 0:
                past[b, k] = past[b, at + before]
