"""Products of a few rows with a weight matrix, where the matrix is read once. Knows rows; knows nothing of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.numba.compile import part
from kernels.numba.half import wide


@part
def add_linear(x: Any, weight: Any, y: Any, scale: Any = None) -> None:
    """y += (x · weightᵀ) · scale: x ``[M, I]``, weight ``[O, I]``, y ``[M, O]``, C order; scale ``[O]`` or ones.

    ``weight`` is float32, the bits of float16 as uint16, or int8: it becomes float32 in registers. Blocks of two rows
    by four outputs: eight sums in registers for six loads. Measured twice as fast as `torch.nn.functional.linear` from
    1 to 16 rows of 192 on one core. What is missing to a block is its last row, or output, again: a second loop for
    that would take as long to compile as this one, and a single row waits for the weights anyway.
    """
    rows, inputs = x.shape
    outputs = weight.shape[0]
    zero = np.float32(0)
    for o in range(0, outputs, 4):
        o1, o2, o3 = min(o + 1, outputs - 1), min(o + 2, outputs - 1), min(o + 3, outputs - 1)
        for r in range(0, rows, 2):
            s = min(r + 1, rows - 1)
            a0, a1, a2, a3 = zero, zero, zero, zero
            b0, b1, b2, b3 = zero, zero, zero, zero
            for i in range(inputs):
                u, v = x[r, i], x[s, i]
                w0, w1 = wide(weight[o, i]), wide(weight[o1, i])
                w2, w3 = wide(weight[o2, i]), wide(weight[o3, i])
                a0 += w0 * u
                a1 += w1 * u
                a2 += w2 * u
                a3 += w3 * u
                b0 += w0 * v
                b1 += w1 * v
                b2 += w2 * v
                b3 += w3 * v
            if scale is not None:
                a0, a1, a2, a3 = a0 * scale[o], a1 * scale[o1], a2 * scale[o2], a3 * scale[o3]
                b0, b1, b2, b3 = b0 * scale[o], b1 * scale[o1], b2 * scale[o2], b3 * scale[o3]
            _add_four(y[r], o, a0, a1, a2, a3)
            if s > r:
                _add_four(y[s], o, b0, b1, b2, b3)


@part
def _add_four(y: Any, o: int, a0: Any, a1: Any, a2: Any, a3: Any) -> None:
    """y[o], y[o + 1], y[o + 2] and y[o + 3] += a0, a1, a2 and a3, those that there are."""
    y[o] += a0
    if o + 1 < y.shape[0]:
        y[o + 1] += a1
    if o + 2 < y.shape[0]:
        y[o + 2] += a2
    if o + 3 < y.shape[0]:
        y[o + 3] += a3


@part
def add_rows(x: Any, weight: Any, y: Any) -> None:
    """y += x · weight: x ``[M, I]``, weight ``[I, O]`` (or the bits of float16), y ``[M, O]``, float32, C order.

    Eight rows of the weight at a time, as many numbers as stay in registers while those of y come and go.
    """
    rows, inputs = x.shape
    blocked = inputs // 8 * 8
    for i in range(0, blocked, 8):
        for r in range(rows):
            u0, u1, u2, u3 = x[r, i], x[r, i + 1], x[r, i + 2], x[r, i + 3]
            u4, u5, u6, u7 = x[r, i + 4], x[r, i + 5], x[r, i + 6], x[r, i + 7]
            for o in range(y.shape[1]):
                w0, w1, w2, w3 = weight[i, o], weight[i + 1, o], weight[i + 2, o], weight[i + 3, o]
                w4, w5, w6, w7 = weight[i + 4, o], weight[i + 5, o], weight[i + 6, o], weight[i + 7, o]
                low = (u0 * wide(w0) + u1 * wide(w1)) + (u2 * wide(w2) + u3 * wide(w3))
                high = (u4 * wide(w4) + u5 * wide(w5)) + (u6 * wide(w6) + u7 * wide(w7))
                y[r, o] += low + high
    for i in range(blocked, inputs):
        for r in range(rows):
            for o in range(y.shape[1]):
                y[r, o] += x[r, i] * wide(weight[i, o])
