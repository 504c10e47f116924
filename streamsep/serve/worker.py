"""The engine's process: loads the model, then computes what the server sends until the pipe closes.

Knows the pipe and the scheduler; knows nothing of sockets. The server's commands are tuples as ``Scheduler.command``
takes them; the answers are ``Started``, ``Broken`` and, after every step and once a second, ``Round``.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from streamsep.engine.pauses import settle
from streamsep.errors import StreamsepError
from streamsep.serve.traffic import Broken, EngineOptions, Round, Started

Command = tuple[Any, ...]

FRAME_SECONDS = 0.04
LOAD = 0.5  # of a frame's time that a full server's step may take: a frame may have to wait for the step before its own
CROWDED = 0.8  # part of the places up to which a frame waits for no other
HEARTBEAT = 1.0  # seconds between two signs of life of an idle engine
NUDGE = 0.01  # seconds between two pieces of work that keep an idle GPU's clocks up


def capacity(times: Sequence[float]) -> int:
    """Seconds a frame of 1, 2, 4, … sessions → how many fit into half of a frame's time, at least one."""
    budget = LOAD * FRAME_SECONDS
    best, count = 1, 1
    for low, high in zip(times, times[1:], strict=False):
        for more in range(count + 1, 2 * count + 1):
            seconds = low + (high - low) * (more - count) / count
            if seconds <= budget:
                best = more
        count *= 2
    return best


def few(alone: float, limit: int) -> float:
    """Live sessions up to which each frame is computed at once: as many as can go one by one, ``alone`` seconds each,
    and up to where the server is nearly full. Measured at the limit, waiting for one another made the slowest frames
    faster; below it, it did not.
    """
    return max(FRAME_SECONDS / alone, CROWDED * limit)


def work(pipe: Connection, options: EngineOptions) -> None:
    """Main function of the process."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when to end, and closes the pipe
        signal.signal(number, signal.SIG_IGN)
    try:
        _serve(pipe, options)
    except StreamsepError as error:
        pipe.send(Broken(str(error)))
    except (BrokenPipeError, ConnectionResetError, EOFError):
        pass


def _serve(pipe: Connection, options: EngineOptions) -> None:
    from streamsep.engine.separator import load
    from streamsep.serve.scheduler import Scheduler, measure

    separator = load(options.model, options.device, decode=options.decode, threads=options.threads)
    times = measure(separator, 1 if options.sessions else options.most, options.exact, LOAD * FRAME_SECONDS)
    limit = options.sessions or capacity(times)
    scheduler = Scheduler(separator, limit, options.exact, options.hurry, few(times[0], limit))
    settle()
    pipe.send(Started(separator.net.config.name, limit, tuple(1000 * seconds for seconds in times)))
    commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pipe, commands), daemon=True).start()
    told = time.monotonic()
    longest = HEARTBEAT if options.device == "cpu" else NUDGE
    while True:
        for command in _waiting(commands, min(longest, scheduler.wait(time.monotonic()))):
            if command is None:
                return
            scheduler.command(*command)
        now = time.monotonic()
        if not scheduler.wait(now):
            pipe.send(scheduler.round())
        elif now - told < HEARTBEAT:
            scheduler.nudge()
            continue
        else:
            pipe.send(Round())
        told = now


def _waiting(commands: queue.SimpleQueue[Command | None], seconds: float) -> Iterator[Command | None]:
    """What is in the queue by now; waits up to ``seconds`` for a first one."""
    try:
        yield commands.get(timeout=seconds) if seconds else commands.get_nowait()
        while True:
            yield commands.get_nowait()
    except queue.Empty:
        return


def _read(pipe: Connection, commands: queue.SimpleQueue[Command | None]) -> None:
    """Commands off the pipe while the model computes, so that the server never waits to write."""
    try:
        while (command := pipe.recv()) is not None:
            commands.put(command)
        commands.put(None)
    except (EOFError, OSError):
        commands.put(None)
