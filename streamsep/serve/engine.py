"""The engine as the server sees it: commands in, rounds out, and a new process when the old one dies.

Knows processes and pipes; knows nothing of sessions' contents. Two threads stand between the event loop and the pipe:
neither reading nor writing ever blocks the loop.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import multiprocessing
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from streamsep.errors import StreamsepError
from streamsep.serve.traffic import Broken, EngineOptions, Round, Started
from streamsep.serve.worker import work

log = logging.getLogger("streamsep.serve")

STUCK = 60.0  # seconds without a sign of life after which the engine is taken for dead
BACKOFF = (0.1, 10.0)  # seconds before a new start: the first time, and at most


class Engine:
    """One engine process at a time. ``on_round`` and ``on_restart`` are called on the event loop."""

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        self.started: Started | None = None
        self.restarts = self._limit = 0
        self.on_round: Callable[[Round], None] = lambda round: None
        self.on_restart: Callable[[], None] = lambda: None
        self._generation = 0  # what an older process still says is not listened to
        self._commands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._messages: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()

    @property
    def ready(self) -> bool:
        return self.started is not None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> Started:
        """Start and wait until the model is loaded and measured. Raises StreamsepError when it cannot be."""
        self._spawn()
        while True:
            generation, message = await self._messages.get()
            if generation != self._generation:
                continue
            if isinstance(message, Started):
                self.started, self._limit = message, message.limit
                return message
            sentence = message.sentence if isinstance(message, Broken) else "the engine died while it started."
            raise StreamsepError(sentence)

    def send(self, name: str, session: str, *values: Any) -> None:
        """A command for the scheduler; dropped while there is no engine."""
        if self.started is not None:
            self._commands.put((name, session, *values))

    async def run(self) -> None:
        """Hand rounds on and start the engine again whenever it dies, for ever."""
        while True:
            try:  # wait_for would swallow, in Python 3.11, a cancellation that comes together with a message
                async with asyncio.timeout(STUCK):
                    generation, message = await self._messages.get()
            except TimeoutError:
                log.error("the engine is stuck; it is ended", extra={"event": "engine_stuck"})
                if self._process is not None:
                    self._process.kill()
                continue
            if generation == self._generation:
                if isinstance(message, Round):
                    try:
                        self.on_round(message)
                    except Exception:  # without this task every session would wait for ever
                        log.exception("a round was lost", extra={"event": "fault"})
                else:
                    await self._restart(message)

    async def stop(self) -> None:
        """End the process; waits for it."""
        loading = self.started is None
        process = self._drop()
        if process is not None:
            if loading:  # it listens to nobody yet
                process.kill()
            await asyncio.to_thread(process.join, 5)
            if process.is_alive():
                process.kill()
                await asyncio.to_thread(process.join)
            atexit.unregister(process.kill)

    async def _restart(self, message: Any) -> None:
        code = None if self._process is None else self._process.exitcode
        log.error("the engine died; it is started again", extra={"event": "engine_died", "exitcode": code})
        delay, most = BACKOFF
        while True:
            await self.stop()
            await asyncio.sleep(delay)
            delay = min(2 * delay, most)
            try:
                await self.start()
            except StreamsepError as error:
                log.error("the engine does not start: %s", error, extra={"event": "engine_broken"})
                continue
            self.restarts += 1
            log.info("the engine is back", extra={"event": "engine_back", "restarts": self.restarts})
            self.on_restart()
            return

    def _spawn(self) -> None:
        self._drop()
        options = self.options
        if self._limit:
            options = replace(options, sessions=self._limit)  # measured once: what was promised stays
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, options), name="streamsep-engine", daemon=True)
        process.start()
        atexit.register(process.kill)  # multiprocessing would ask with SIGTERM, which the engine ignores, and wait
        self._process = process
        theirs.close()
        self._commands = queue.SimpleQueue()
        loop, generation, pipe, commands = asyncio.get_running_loop(), self._generation, self._pipe, self._commands

        def tell(message: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._messages.put_nowait, (generation, message))

        threading.Thread(target=_read, args=(pipe, tell), daemon=True).start()
        threading.Thread(target=_write, args=(pipe, commands), daemon=True).start()

    def _drop(self) -> BaseProcess | None:
        """Let go of the process: None ends its writer, and with it the process."""
        self._generation += 1
        self.started = None
        self._commands.put(None)
        process, self._process, self._pipe = self._process, None, None
        return process


def _read(pipe: Connection, tell: Callable[[Any], None]) -> None:
    """Until the process has gone. Only this thread closes the pipe: a read would outlive a close from elsewhere."""
    try:
        while True:
            tell(pipe.recv())
    except (EOFError, OSError):
        tell(None)
    finally:
        pipe.close()


def _write(pipe: Connection, commands: queue.SimpleQueue[Any]) -> None:
    """Until None comes, which ends the process too."""
    with contextlib.suppress(OSError, ValueError):
        while True:
            command = commands.get()
            pipe.send(command)
            if command is None:
                return
