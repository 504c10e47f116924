"""Counter-based sampling on the CPU. Contract and formula: `kernels.reference.sample`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.numba.compile import jit, part
from kernels.numba.parts import array
from kernels.reference.sample import GOLDEN, MIX_1, MIX_2

_GOLDEN, _MIX_1, _MIX_2 = (np.uint64(v & (1 << 64) - 1) for v in (GOLDEN, MIX_1, MIX_2))
NOTHING = np.zeros(0, np.int64)


def sample(
    logits: Tensor,
    temperature: float,
    top_k: int = 0,
    seed: Tensor | None = None,
    frame: Tensor | None = None,
    place: Tensor | None = None,
) -> Tensor:
    """As :func:`kernels.reference.sample`; CPU tensors only, else TypeError."""
    if logits.device.type != "cpu":
        raise TypeError(f"numba samples on the CPU, not on {logits.device}")
    if temperature > 0 and (seed is None or frame is None or place is None):
        raise ValueError("sampling with temperature > 0 needs a seed for every slot")
    counters = [NOTHING if each is None else array(each) for each in (seed, frame, place)]
    codes = np.empty(logits.shape[:-1], np.int64)
    _sample_rows(array(logits.float()), float(temperature), top_k, *counters, codes)
    return torch.from_numpy(codes)


@jit
def _sample_rows(logits: Any, temperature: float, top_k: int, seed: Any, frame: Any, place: Any, codes: Any) -> None:
    for b in range(logits.shape[0]):
        for r in range(logits.shape[1]):
            u = uniform(seed[b], frame[b], place[r]) if temperature > 0 else 0.0
            codes[b, r] = choose(logits[b, r], temperature, top_k, u)


@part
def uniform(seed: int, frame: int, place: int) -> float:
    """In [0, 1)."""
    x = _splitmix(_splitmix(np.uint64(seed)) ^ np.uint64(frame))
    x = _splitmix(x ^ np.uint64(place + 1))
    return np.float64(x >> np.uint64(11)) * 2.0**-53


@part
def choose(logits: Any, temperature: float, top_k: int, u: float) -> int:
    """The code of one row of logits [K]; ``u`` is read when temperature > 0."""
    size = logits.shape[0]
    best = 0
    for k in range(size):
        if logits[k] > logits[best] or (math.isnan(logits[k]) and not math.isnan(logits[best])):
            best = k
    if temperature == 0:
        return best
    least = np.sort(logits)[size - top_k] if 0 < top_k < size else np.float32(-np.inf)
    running = np.empty(size, np.float64)
    total = 0.0
    for k in range(size):
        if logits[k] >= least:
            total += math.exp((np.float64(logits[k]) - np.float64(logits[best])) / temperature)
        running[k] = total
    code = 0
    while code < size - 1 and running[code] <= u * total:
        code += 1
    return code


@part
def _splitmix(x: Any) -> Any:
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))
