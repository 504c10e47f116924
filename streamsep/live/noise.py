"""Keeps what ALSA, PortAudio and JACK write to standard error off the screen. Knows lines; knows no sound.

They tell of every underrun and every device that is not there, from threads of their own; what matters of it, streamsep
says itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import os
import sys
import threading
from collections.abc import Iterator
from typing import IO, TextIO

_NOISE = (
    "ALSA lib",
    "Expression '",
    "Jack",
    "JACK",
    "jack server",
    "Cannot connect to server",
    "Error: cannot connect",
)


@contextlib.contextmanager
def filtered() -> Iterator[None]:
    """Standard error without their lines. Others pass, also those of processes that are started meanwhile."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    if os.name == "posix":  # one that began later, with the first shared memory, would hold the pipe open after the end
        multiprocessing.resource_tracker.ensure_running()
    reading, writing = os.pipe()
    before = sys.stderr
    encoding = getattr(before, "encoding", None) or "utf-8"
    sys.stderr = _open(os.dup(kept), encoding)  # ours goes the straight way
    os.dup2(writing, 2)
    os.close(writing)
    thread = threading.Thread(target=_pass, args=(reading, kept, encoding), name="streamsep-noise", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        thread.join(1)  # ends when nobody writes there any more; a process that still runs does
        sys.stderr.close()
        sys.stderr = before


def _open(file: int, encoding: str) -> TextIO:
    """To write lines to. What the terminal cannot show is replaced: it must not end the show."""
    return os.fdopen(file, "w", buffering=1, encoding=encoding, errors="replace")


def _pass(reading: int, kept: int, encoding: str) -> None:
    with os.fdopen(reading, "r", errors="replace") as source, _open(kept, encoding) as target:
        copy(source, target)


def copy(source: IO[str], target: IO[str]) -> None:
    """Every line that is no noise."""
    for line in source:
        if line.strip() and not line.startswith(_NOISE):
            target.write(line)
