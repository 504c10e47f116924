"""Channel layouts. The model hears mono or stereo; files have one to eight channels.

A file's channels are taken in pairs (1-2, 3-4, …), each pair a stereo stream of its own, an odd last channel a mono
one. So every stem has the channels of the input, and in every channel the stems sum to the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ChannelGroup:
    """Channels ``start … start + count − 1`` of a file, separated as one stream; ``count`` is 1 or 2."""

    start: int
    count: int

    def take(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """``block`` [channels, n] → ``[count, n]``."""
        return block[self.start : self.start + self.count]


def channel_groups(channels: int) -> tuple[ChannelGroup, ...]:
    """The streams that ``channels`` (≥ 1) channels need."""
    return tuple(ChannelGroup(start, min(2, channels - start)) for start in range(0, channels, 2))


def to_stereo(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[1|2, n]`` → ``[2, n]``: mono on both sides."""
    return np.repeat(block, 2, axis=0) if block.shape[0] == 1 else block


def from_stereo(block: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """``[2, n]`` → ``[channels, n]``, channels 1 or 2: for mono the mean of both sides, undoing ``to_stereo``."""
    return block.mean(axis=0, keepdims=True, dtype=np.float32) if channels == 1 else block
