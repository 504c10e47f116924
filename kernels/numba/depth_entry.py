"""Rows of all places on the CPU. Contract and formula: `kernels.reference.depth_entry`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit
from kernels.numba.exponential import exp
from kernels.numba.kept import Kept, smallest_matrices
from kernels.numba.linear import add_rows
from kernels.numba.matrices import add_product
from kernels.reference.depth_entry import EntryWeights


def depth_entry(weights: EntryWeights, h: Tensor, guide: Tensor | None, codebooks: int) -> Tensor:
    """As :func:`kernels.reference.depth_entry`; float32 CPU tensors only (TypeError), no gradients."""
    if h.dtype != torch.float32 or h.device.type != "cpu":
        raise TypeError(f"depth_entry of numba takes float32 on the CPU, got {h.dtype} on {h.device}")
    stems, _, dim = weights.place.shape
    guides = np.empty((0, stems, 0), np.float32) if guide is None else array(guide)
    known = torch.empty(len(h), stems * codebooks, dim)
    _enter(_kept(weights), array(h), guides, codebooks, known.numpy())
    return known


_NO_PRODUCT = ("down", "down_bias", "up", "place")
_kept: Kept[EntryWeights, Any] = Kept(partial(smallest_matrices, keep=_NO_PRODUCT))


@jit
def _enter(
    weights: Any,  # of EntryWeights
    h: Any,  # [N, H]
    guide: Any,  # [N, S, G], or of no frames
    codebooks: int,
    known: Any,  # [N, S·codebooks, D]
) -> None:
    hidden, hidden_bias, down, down_bias, up, place = weights
    frames, (stems, _, dim) = h.shape[0], place.shape
    base = np.empty((frames, dim), np.float32)
    base[:] = hidden_bias
    add_product(h, hidden, base)
    guides = np.empty((guide.shape[0], guide.shape[2]), np.float32)
    middle = np.empty((guide.shape[0], down.shape[2]), np.float32)
    rows = np.empty_like(base)
    for s in range(stems):  # a stem's weights are read once for all frames
        rows[:] = base
        if guide.shape[0] > 0:
            for n in range(frames):
                guides[n] = guide[n, s]
            middle[:] = down_bias[s]
            add_rows(guides, down[s], middle)
            for n in range(frames):
                for i in range(middle.shape[1]):
                    middle[n, i] = middle[n, i] / (np.float32(1) + exp(-middle[n, i]))
            add_rows(middle, up[s], rows)
        for n in range(frames):
            for q in range(codebooks):
                for i in range(dim):
                    known[n, s * codebooks + q, i] = rows[n, i] + place[s, q, i]
