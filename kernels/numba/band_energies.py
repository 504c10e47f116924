"""Band energies on a CPU: every bin is read once. Knows bins and bands; knows nothing of music."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit


@jit
def _sum_bands(x: Any, edges: Any, mix: Any, cross: Any, stem: Any) -> None:
    """``x`` [B, S, R, F, 2] float32, C order."""
    batch, stems, rows, bins, _ = x.shape
    re = np.empty(bins, np.float32)
    im = np.empty(bins, np.float32)
    zero = np.float32(0)
    for b in range(batch):
        for r in range(rows):
            for f in range(bins):
                u, v = zero, zero
                for s in range(stems):
                    u += x[b, s, r, f, 0]
                    v += x[b, s, r, f, 1]
                re[f] = u
                im[f] = v
            for m in range(edges.shape[0] - 1):
                total = zero
                for f in range(edges[m], edges[m + 1]):
                    total += re[f] * re[f] + im[f] * im[f]
                mix[b, r, m] = total
                for s in range(stems):
                    own, shared = zero, zero
                    for f in range(edges[m], edges[m + 1]):
                        u, v = x[b, s, r, f, 0], x[b, s, r, f, 1]
                        own += u * u + v * v
                        shared += u * re[f] + v * im[f]
                    stem[b, s, r, m] = own
                    cross[b, s, r, m] = shared


def band_energies(columns: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """See ``kernels.reference.band_energies``; complex64 on a CPU only, no gradient."""
    if columns.dtype != torch.complex64 or columns.device.type != "cpu":
        raise ValueError(f"band_energies of numba takes complex64 on the CPU, not {columns.dtype} on {columns.device}.")
    batch, stems, rows, _ = columns.shape
    bands = len(edges) - 1
    mix = torch.empty(batch, rows, bands)
    cross, stem = torch.empty(batch, stems, rows, bands), torch.empty(batch, stems, rows, bands)
    x = torch.view_as_real(columns.detach().resolve_conj().contiguous()).numpy()
    _sum_bands(x, edges.numpy(), mix.numpy(), cross.numpy(), stem.numpy())
    return mix, cross, stem
