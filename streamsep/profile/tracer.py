"""Tracer: how long functions take, less what the functions they call take. Knows clocks; knows no stream.

Nothing is measured until a function is wrapped, and a wrapped function returns what it would have returned: a stream
without a tracer runs the code it always runs.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """One call: nanoseconds of ``time.perf_counter_ns``, which all processes of a machine share."""

    name: str
    stage: str
    begin: int
    duration: int
    thread: int


class Tracer:
    """Sums nanoseconds by stage. With ``keep`` every call stays in ``spans``; they grow without bound.

    Serves one thread at a time: a call's time is taken from that of the call around it.
    """

    def __init__(self, keep: bool = False) -> None:
        self.spans: list[Span] = []
        self._keep = keep
        self._inner = 0  # nanoseconds that calls within the present one took
        self._stages: defaultdict[str, int] = defaultdict(int)
        self._names: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])

    def timed(self, stage: str, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its own time counted to ``stage`` and shown as ``name``."""

        def call(*arguments: Any, **options: Any) -> Any:
            around, self._inner = self._inner, 0
            begin = time.perf_counter_ns()
            try:
                return function(*arguments, **options)
            finally:
                took = time.perf_counter_ns() - begin
                own, self._inner = took - self._inner, around + took
                self._stages[stage] += own
                count = self._names[name]
                count[0] += 1
                count[1] += own
                if self._keep:
                    self.spans.append(Span(name, stage, begin, took, threading.get_native_id()))

        return call

    def take(self) -> dict[str, int]:
        """Stage → nanoseconds since the last ``take``."""
        taken = dict(self._stages)
        self._stages.clear()
        return taken

    def parts(self) -> dict[str, tuple[int, int]]:
        """Name → calls and nanoseconds of their own since the last ``forget``."""
        return {name: (calls, own) for name, (calls, own) in self._names.items()}

    def forget(self) -> None:
        """Start again from nothing."""
        self.spans.clear()
        self._stages.clear()
        self._names.clear()
        self._inner = 0
