"""Masks and envelopes of the guide on the CPU. Contract and formula: `kernels.reference.guide_envelopes`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit
from kernels.numba.exponential import exp
from kernels.numba.logarithm import log10
from kernels.reference import guide_envelopes as formula

_FLOOR_POWER = np.float32(formula.FLOOR_POWER)


def guide_envelopes(logits: Tensor, spectrum: Tensor, level: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`kernels.reference.guide_envelopes`; float32 and complex64 on the CPU, no gradients, else TypeError."""
    if (logits.dtype, spectrum.dtype, logits.device.type) != (torch.float32, torch.complex64, "cpu"):
        raise TypeError(f"guide_envelopes of numba takes float32 and complex64 on the CPU, got {logits.dtype}")
    slots, stems, sides, columns, bands = logits.shape
    masks = torch.empty(slots, stems, sides, columns, bands)
    envelopes = torch.empty(slots, stems, columns * bands)
    _weigh(
        array(logits).reshape(slots, stems, sides, -1), array(spectrum).view(np.float32), array(level), array(edges),
        masks.numpy().reshape(slots, stems, sides, -1), envelopes.numpy(),
    )  # fmt: skip
    return masks, envelopes


@jit
def _weigh(
    logits: Any,  # [B, S, sides, R·M]
    spectrum: Any,  # [B, sides, R, 2·F]
    level: Any,  # [B]
    edges: Any,  # [M + 1]
    masks: Any,  # as logits
    envelopes: Any,  # [B, S, R·M]
) -> None:
    slots, stems, sides, places = logits.shape
    columns, bins = spectrum.shape[2], spectrum.shape[3] // 2
    bands = len(edges) - 1
    zero, one, two, three = np.float32(0), np.float32(1), np.float32(2), np.float32(3)
    top, total = np.empty(places, np.float32), np.empty(places, np.float32)
    mixture = np.empty(places, np.float32)
    for b in range(slots):
        for side in range(sides):
            for r in range(columns):
                for m in range(bands):
                    power = zero
                    for i in range(2 * edges[m], 2 * edges[m + 1]):
                        power += spectrum[b, side, r, i] * spectrum[b, side, r, i]
                    mixture[r * bands + m] = power
            for i in range(places):
                top[i] = logits[b, 0, side, i]
                total[i] = zero
            for s in range(1, stems):
                for i in range(places):
                    top[i] = max(top[i], logits[b, s, side, i])
            for s in range(stems):
                for i in range(places):
                    share = exp(logits[b, s, side, i] - top[i])
                    masks[b, s, side, i] = share
                    total[i] += share
            for i in range(places):
                total[i] = one / total[i]
            for s in range(stems):
                for i in range(places):
                    share = masks[b, s, side, i] * total[i]
                    masks[b, s, side, i] = share
                    energy = share * share * mixture[i]
                    envelopes[b, s, i] = energy if side == 0 else envelopes[b, s, i] + energy
        for r in range(columns):
            for m in range(bands):
                scale = level[b] * np.float32(bins) * np.float32(edges[m + 1] - edges[m])
                mixture[r * bands + m] = one / scale
        for s in range(stems):
            for i in range(places):
                power = envelopes[b, s, i] * mixture[i] + _FLOOR_POWER
                envelopes[b, s, i] = (log10(power) + two) / three
