"""Samples ↔ bytes: interleaved s16le and f32le. Knows formats; knows no messages.

s16le is rounded to the nearest of 2^15 steps and clipped, and read back exactly; f32le is what it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsep.protocol.checks import ProtocolError

_TYPES: dict[str, str] = {"s16le": "<i2", "f32le": "<f4"}
RAW = "f32le"  # what the samples of an Opus packet become
_FULL = np.float32(1 << 15)


def raw_format(format: str) -> str:
    """The format of the samples in a session: that of the messages, unless those hold Opus packets."""
    return format if format in _TYPES else RAW


def sample_count(data: bytes, format: str, channels: int) -> int:
    """Samples of one channel in ``data``. Raises ProtocolError for a part of one."""
    size = np.dtype(_TYPES[format]).itemsize * channels
    if len(data) % size:
        raise ProtocolError("bad_audio", f"{len(data)} bytes are no whole number of {size}-byte samples.")
    return len(data) // size


def decode_samples(data: bytes, format: str, channels: int) -> NDArray[np.float32]:
    """Interleaved bytes → ``[channels, n]`` float32. Raises ProtocolError for a part of a sample."""
    sample_count(data, format, channels)
    flat = np.frombuffer(data, _TYPES[format])
    sound = np.ascontiguousarray(flat.reshape(-1, channels).T.astype(np.float32))
    return sound / _FULL if format == "s16le" else sound


def encode_samples(sound: NDArray[np.float32], format: str) -> bytes:
    """``[channels, n]`` float32 → interleaved bytes."""
    flat = np.ascontiguousarray(sound.T)
    if format == "s16le":
        flat = np.clip(np.rint(np.nan_to_num(flat) * _FULL), -_FULL, _FULL - 1)
    return flat.astype(_TYPES[format]).tobytes()
