"""Fusion of guide and tokens on the CPU. Contract and formula: `kernels.reference.fuse_masks`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import array, jit
from kernels.numba.exponential import exp
from kernels.numba.kept import kept_numbers
from kernels.reference.fuse_masks import FuseWeights

_LN_10 = np.float32(math.log(10.0))


def fuse_masks(weights: FuseWeights, logits: Tensor, envelopes: Tensor, entropy: Tensor) -> Tensor:
    """As :func:`kernels.reference.fuse_masks`; float32 on the CPU, no gradients, else TypeError."""
    if logits.dtype != torch.float32 or logits.device.type != "cpu":
        raise TypeError(f"fuse_masks of numba takes float32 on the CPU, got {logits.dtype} on {logits.device}")
    masks = torch.empty(logits.shape)
    _fuse(kept_numbers(weights), array(logits), array(envelopes), array(entropy), masks.numpy())
    return masks


@jit
def _fuse(
    weights: Any,  # of a FuseWeights
    logits: Any,  # [B, S, sides, R, M]
    envelopes: Any,  # [B, S, R·M]
    entropy: Any,  # [B, S]
    masks: Any,  # as logits
) -> None:
    guide, exponent, trust, slope, usual = weights
    slots, stems, sides, columns, bands = logits.shape
    one, two, three = np.float32(1), np.float32(2), np.float32(3)
    weight = np.empty((stems, bands), np.float32)
    top, total = np.empty(bands, np.float32), np.empty(bands, np.float32)
    for b in range(slots):
        for side in range(sides):
            for s in range(stems):
                sure = slope[s] * (entropy[b, s] - usual[s])
                for m in range(bands):
                    weight[s, m] = exponent[s] / (one + exp(-(trust[s, side, m] + sure)))
            for r in range(columns):
                for m in range(bands):
                    top[m], total[m] = np.float32(-np.inf), np.float32(0)
                for s in range(stems):
                    for m in range(bands):
                        power = (envelopes[b, s, r * bands + m] * three - two) * _LN_10
                        x = guide[0] * logits[b, s, side, r, m] + weight[s, m] * power
                        masks[b, s, side, r, m] = x
                        top[m] = max(top[m], x)
                for s in range(stems):
                    for m in range(bands):
                        x = exp(masks[b, s, side, r, m] - top[m])
                        masks[b, s, side, r, m] = x
                        total[m] += x
                for s in range(stems):
                    for m in range(bands):
                        masks[b, s, side, r, m] /= total[m]
