"""What the model process and the audio callbacks tell each other: counters in shared memory. Knows no sound."""

from __future__ import annotations

import contextlib
from multiprocessing.shared_memory import SharedMemory
from typing import Self

import numpy as np

LOADING, READY, FAILED = 0, 1, 2
_FIELDS = ("state0", "state1", "active", "stop", "playhead", "latency", "late", "hurried", "skips", "ticks")
_TIMES = 512  # of the last results: how long each took, microseconds
_AGES = 512  # of the last results: how old its newest sample was, samples


class Status:
    """Integers by name, one writer each.

    Of the parent: ``active`` (slot of the model process whose turn it is, 0 or 1; the other one is a spare), ``stop``
    (1: end), ``playhead`` (position that is heard next). Of the active process: ``latency`` (samples), ``late``
    (results behind the playhead), ``hurried`` (frames that the guide head alone separated), ``skips`` (jumps over a
    backlog), ``ticks`` (results), and the last 512 computing times and ages. Of each process: its state.
    """

    def __init__(self, memory: SharedMemory, owner: bool) -> None:
        self._memory, self._owner = memory, owner
        self._values = np.ndarray((len(_FIELDS) + _TIMES + _AGES,), np.int64, memory.buf)

    @classmethod
    def create(cls) -> Self:
        memory = SharedMemory(create=True, size=8 * (len(_FIELDS) + _TIMES + _AGES))
        status = cls(memory, owner=True)
        status._values[:] = 0
        return status

    @classmethod
    def attach(cls, name: str) -> Self:
        return cls(SharedMemory(name), owner=False)

    @property
    def name(self) -> str:
        return self._memory.name

    def get(self, field: str) -> int:
        return int(self._values[_FIELDS.index(field)])

    def set(self, field: str, value: int) -> None:
        self._values[_FIELDS.index(field)] = value

    def add(self, field: str, value: int = 1) -> None:
        self._values[_FIELDS.index(field)] += value

    def state(self, slot: int) -> int:
        """LOADING, READY or FAILED."""
        return self.get(f"state{slot}")

    def set_state(self, slot: int, state: int) -> None:
        self.set(f"state{slot}", state)

    def record(self, microseconds: int, age: int) -> None:
        """Model process: one result is out."""
        slot = self.get("ticks") % _TIMES
        self._values[len(_FIELDS) + slot] = microseconds
        self._values[len(_FIELDS) + _TIMES + slot] = age
        self.add("ticks")

    def times(self) -> np.ndarray:
        """Computing times of the last results, milliseconds, in no order."""
        count = min(self.get("ticks"), _TIMES)
        return self._values[len(_FIELDS) : len(_FIELDS) + count] / 1_000

    def ages(self) -> np.ndarray:
        """Ages of the last results, samples at 48 kHz: how far the input was past the end of each."""
        count = min(self.get("ticks"), _AGES)
        start = len(_FIELDS) + _TIMES
        return self._values[start : start + count].copy()

    def close(self) -> None:
        """Let go of the memory; its maker also gives it back to the system. May be called twice."""
        if hasattr(self, "_values"):
            del self._values
            self._memory.close()
            if self._owner:
                with contextlib.suppress(FileNotFoundError):
                    self._memory.unlink()
