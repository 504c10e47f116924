"""Signals that end a run wait while a C library calls back into Python, where an exception is printed and lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any

_HELD = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def held_interrupts() -> Generator[None, None, None]:
    """Deliver what arrives inside after the end of the block. Only the main thread gets any; others pass."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before: dict[int, Any] = {}

    def keep(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    try:
        for number in _HELD:
            if signal.getsignal(number) is not None:  # None: another language's handler, which could not be put back
                before[number] = signal.signal(number, keep)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in caught[:1]:
            signal.raise_signal(number)
