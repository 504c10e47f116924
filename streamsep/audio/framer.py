"""Blocks of any size into frames of one size, and back. Knows counts; knows nothing of rates or sound."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray


class Fifo:
    """A queue of samples: ``push`` blocks of any size, ``pop`` any number that is there."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._parts: deque[NDArray[np.float32]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, block: NDArray[np.float32]) -> None:
        """Append ``block`` [channels, n], n ≥ 0. The queue keeps a reference, not a copy."""
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ValueError(f"expected a block of shape [{self.channels}, n], got {list(block.shape)}")
        if block.shape[1]:
            self._parts.append(block)
            self._count += block.shape[1]

    def pop(self, n: int) -> NDArray[np.float32]:
        """The oldest ``n`` samples, ``[channels, n]`` float32. Raises ValueError when fewer are there."""
        if n > self._count:
            raise ValueError(f"asked for {n} samples of {self._count}")
        self._count -= n
        out = np.empty((self.channels, n), np.float32)
        done = 0
        while done < n:
            part = self._parts.popleft()
            take = min(n - done, part.shape[1])
            out[:, done : done + take] = part[:, :take]
            if take < part.shape[1]:
                self._parts.appendleft(part[:, take:])
            done += take
        return out

    def clear(self) -> None:
        self._parts.clear()
        self._count = 0


class Framer:
    """Blocks of any size → frames of ``size`` samples. Frame boundaries do not depend on block sizes."""

    def __init__(self, channels: int, size: int) -> None:
        self.size = size
        self._fifo = Fifo(channels)

    @property
    def pending(self) -> int:
        """Samples that wait for their frame to fill, 0 … size − 1."""
        return len(self._fifo)

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """``block`` [channels, n] → the frames it completes, ``[frames, channels, size]`` (frames may be 0)."""
        self._fifo.push(block)
        frames = len(self._fifo) // self.size
        flat = self._fifo.pop(frames * self.size)
        return np.ascontiguousarray(flat.reshape(flat.shape[0], frames, self.size).swapaxes(0, 1))

    def flush(self) -> NDArray[np.float32]:
        """The last, partly filled frame padded with zeros, ``[1, channels, size]``; ``[0, …]`` when nothing waits."""
        missing = -len(self._fifo) % self.size
        return self.push(np.zeros((self._fifo.channels, missing), np.float32))

    def reset(self) -> None:
        self._fifo.clear()
