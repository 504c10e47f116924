"""Keeps the model process alive: starts it, notices its death, starts it again. Knows processes; knows no sound."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from multiprocessing.context import SpawnProcess

from streamsep.errors import StreamsepError
from streamsep.live.ring import Ring
from streamsep.live.status import FAILED, LOADING, READY, Status
from streamsep.live.worker import WorkerSpec, run

_QUICK = 10.0  # seconds: a process that dies sooner after it was ready has a fault that a restart does not mend
_MAX_PAUSE = 30.0


class Supervisor:
    """``start`` the process, call ``check`` now and then, ``stop`` at the end.

    ``restarts`` counts. ``spec`` may be changed for the next start by ``change``.
    """

    def __init__(self, spec: WorkerSpec, results: Ring, status: Status) -> None:
        self._spec, self._results, self._status = spec, results, status
        self._context = multiprocessing.get_context("spawn")
        self._process: SpawnProcess | None = None
        self._died = self._began = 0.0
        self._pause = 0.0
        self._announced = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def ready(self) -> bool:
        return self._status.get("state") == READY

    def start(self) -> None:
        self._status.set("state", LOADING)
        self._announced = False
        self._began = time.monotonic()
        # A daemon ends with its parent; a parent that is killed is noticed by the process itself.
        self._process = self._context.Process(target=run, args=(self._spec,), name="streamsep-model", daemon=True)
        self._process.start()

    def wait_ready(self, seconds: float) -> None:
        """Raises StreamsepError when the model cannot be loaded, or not in time."""
        end = time.monotonic() + seconds
        while not self.ready:
            process = self._process
            if process is None or not process.is_alive():
                raise StreamsepError(f"the model '{self._spec.model}' could not be loaded; streamsep doctor tells why.")
            if time.monotonic() > end:
                raise StreamsepError(f"the model was not loaded within {seconds:.0f} s; is the machine overloaded?")
            time.sleep(0.02)
        self._announced = True

    def check(self) -> str | None:
        """Restart the process when it is dead. Returns one line when there is something to tell."""
        process = self._process
        if process is None:
            return None
        now = time.monotonic()
        if process.is_alive():
            if self.ready and not self._announced:
                self._announced = True
                return f"the model is back after {now - self._died:.1f} s; the stems return."
            return None
        if not self._died or self._died < self._began:
            self._died = now
            lived = self.ready and now - self._began > _QUICK
            self._pause = 0.0 if lived else min(_MAX_PAUSE, 2 * self._pause + 1)
            failed = self._status.get("state") == FAILED
            self._status.set("state", LOADING)
            cause = "could not load" if failed else f"ended (exit code {process.exitcode})"
            wait = f" in {self._pause:.0f} s" if self._pause else ""
            line = f"the model process {cause}; the sound goes on without separation, the model restarts{wait}."
            self._restart_if_due(now)
            return line
        self._restart_if_due(now)
        return None

    def change(self, **changes: object) -> None:
        """Another model, decoding or lookahead from the next start on; the running process is ended now."""
        self._spec = replace(self._spec, **changes)  # pyright: ignore[reportArgumentType]
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        self._status.set("stop", 1)
        if self._process is not None:
            self._process.join(2)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(2)
            self._process = None

    def _restart_if_due(self, now: float) -> None:
        if now - self._died >= self._pause:
            self.restarts += 1
            self.start()
