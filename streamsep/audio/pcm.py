"""Float samples to integers and back, exactly. Knows bit depths; knows nothing of files.

Samples are rounded here and not by libsndfile, which divides what it reads by 2^15 but multiplies what it writes by
2^15 − 1. What is written is what ``quantize`` says, to the bit, and reading it back gives the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantize(block: NDArray[np.float32], bits: str | None) -> NDArray[np.float32]:
    """The values that a file of ``bits`` holds for ``block``: 16 and 24 rounded and clipped, f32 and None unchanged."""
    if bits is None or bits == "f32":
        return block
    return _to_integer(block, int(bits)).astype(np.float32) / np.float32(1 << (int(bits) - 1))


def encode(block: NDArray[np.float32], bits: str | None) -> NDArray[Any]:
    """``[channels, n]`` → ``[n, channels]`` in the type that libsndfile stores without touching it."""
    if bits == "16":
        return np.ascontiguousarray(_to_integer(block, 16).T.astype(np.int16))
    if bits == "24":
        return np.ascontiguousarray((_to_integer(block, 24) << 8).T)
    return np.ascontiguousarray(block.T)


def _to_integer(block: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    full = 1 << (bits - 1)
    # float64: a float32 has no integer between 2^23 − 1 and 2^23 to clip to after scaling errors
    return np.clip(np.rint(block.astype(np.float64) * full), -full, full - 1).astype(np.int32)
