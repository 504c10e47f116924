"""Asks the system to let what must not be late go before everything else. Knows threads; knows no sound.

    callbacks                     real time: they sleep most of the time, and wake at once
    threads of the sound server   before the model, since the callbacks wait for them
    model                         before other programs; real time would starve the rest of a machine that is too slow
    spare model                   after everything

Where the system refuses (on Linux: no ``rtprio`` and ``nice`` in limits.conf for this user), all runs as it did.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import psutil

_CALLBACK = 20  # real-time priority: below a sound server's own
_SERVER, _MODEL, _SPARE = -15, -10, 10  # niceness


def audio_thread() -> None:
    """The calling thread is one that calls back. Systems other than Linux know that by themselves."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_CALLBACK))


@contextlib.contextmanager
def starting_audio() -> Iterator[None]:
    """Threads that are started meanwhile belong to the sound. The calling thread itself is then as it was."""
    if not hasattr(os, "getpriority"):
        yield
        return
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(before, _SERVER))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def model_process(waiting: bool) -> None:
    """The calling process: before others while its results are heard, after them while it is ``waiting``."""
    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError):
        if os.name == "nt":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if waiting else psutil.HIGH_PRIORITY_CLASS)
        else:
            process.nice(_MODEL)  # refused: then what waits must not step back, it could not return
            process.nice(_SPARE if waiting else _MODEL)
