"""The last seconds of a sound in shared memory, addressed by sample position. Knows positions; knows nothing of stems.

One process writes, any process reads, nobody waits: position ``p`` lies at index ``p mod capacity``, and two counters
say which positions are there.

    begin ≤ p < end      p is there
    end − p > capacity   p has been overwritten; a reader finds out after copying, too, and gets None

The counters are written after the samples (stores keep their order on x86; elsewhere the interpreter's own steps lie
between). A writer that dies leaves, at worst, samples that no counter speaks of.
"""

from __future__ import annotations

import contextlib
from multiprocessing.shared_memory import SharedMemory
from typing import Self

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
_HEADER = 64  # bytes
_BEGIN, _END = 0, 1
_NEVER = 1 << 62  # no position: nothing can be read


class Ring:
    """``capacity`` samples of ``channels`` channels. Made by ``create``, opened elsewhere by ``attach``."""

    def __init__(self, memory: SharedMemory, channels: int, capacity: int, owner: bool) -> None:
        self._memory, self._owner = memory, owner
        self.channels, self.capacity = channels, capacity
        self._guard = capacity // 4  # the most that is written between two steps of the counter
        self._counters = np.ndarray((2,), np.int64, memory.buf)
        self._samples = np.ndarray((channels, capacity), np.float32, memory.buf, _HEADER)

    @classmethod
    def create(cls, channels: int, capacity: int) -> Self:
        """A new ring, zeroed, at position 0. Raises ValueError below one channel or four samples."""
        if channels < 1 or capacity < 4:
            raise ValueError(f"a ring needs a channel and four samples, not {channels} and {capacity}")
        memory = SharedMemory(create=True, size=_HEADER + 4 * channels * capacity)
        ring = cls(memory, channels, capacity, owner=True)
        ring._counters[:] = 0
        ring._samples[:] = 0  # touches every page now, not in the audio callback
        return ring

    @classmethod
    def attach(cls, name: str, channels: int, capacity: int) -> Self:
        """The ring that another process made."""
        return cls(SharedMemory(name), channels, capacity, owner=False)

    @property
    def name(self) -> str:
        return self._memory.name

    @property
    def begin(self) -> int:
        """First position since the last gap; beyond reach while a ``restart`` is under way."""
        return int(self._counters[_BEGIN])

    @property
    def end(self) -> int:
        """One past the last position written."""
        return int(self._counters[_END])

    def restart(self, position: int) -> None:
        """Writer: writing goes on at ``position``. What lies before it stays where it reaches up to there."""
        kept = max(self.begin, self.end + self._guard - self.capacity)
        if not kept <= position <= self.end:
            kept = position
        self._counters[_BEGIN] = _NEVER
        self._counters[_END] = position
        self._counters[_BEGIN] = kept

    def write(self, block: Sound) -> None:
        """Writer: append ``block`` [channels, n], any n, over the oldest samples."""
        for start in range(0, block.shape[1], self._guard):
            part = block[:, start : start + self._guard]
            end = self.end
            index = end % self.capacity
            head = min(part.shape[1], self.capacity - index)
            self._samples[:, index : index + head] = part[:, :head]
            self._samples[:, : part.shape[1] - head] = part[:, head:]
            self._counters[_END] = end + part.shape[1]

    def read(self, start: int, count: int) -> Sound | None:
        """Reader: positions ``start … start + count − 1``, ``[channels, count]``; None when not all are there."""
        if count > self.capacity - self._guard or not self._holds(start, count):
            return None
        out = np.empty((self.channels, count), np.float32)
        index = start % self.capacity
        head = min(count, self.capacity - index)
        out[:, :head] = self._samples[:, index : index + head]
        out[:, head:] = self._samples[:, : count - head]
        return out if self._holds(start, count) else None

    def _holds(self, start: int, count: int) -> bool:
        end = self.end
        return self.begin <= start and start + count <= end and start >= end + self._guard - self.capacity

    def close(self) -> None:
        """Let go of the memory; its maker also gives it back to the system. May be called twice."""
        if hasattr(self, "_counters"):
            del self._counters, self._samples
            self._memory.close()
            if self._owner:
                with contextlib.suppress(FileNotFoundError):
                    self._memory.unlink()
