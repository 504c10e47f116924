"""Keeps the model alive: one process that separates, one spare that has loaded and waits. Knows processes; knows no
sound.

    slot 0   loading ─► separates ──────────────✗ killed    loading (spare) ─► waits …
    slot 1              loading (spare) ─► waits  ─► separates …

A spare costs memory and no time of the processor; without one, the stems are away for as long as a model loads.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from multiprocessing.context import SpawnProcess

from streamsep.config import SAMPLE_RATE
from streamsep.errors import StreamsepError
from streamsep.live.ring import Ring
from streamsep.live.status import FAILED, LOADING, READY, Status
from streamsep.live.worker import WorkerSpec, run

_QUICK = 10.0  # seconds: a process that dies sooner after its start has a fault that a restart does not mend
_MAX_PAUSE = 30.0
_STUCK = 3 * SAMPLE_RATE  # samples heard without a result: the process is as good as dead
_SETTLE = 2.0  # seconds that a spare has to take over before the next one loads


class Supervisor:
    """``start``, call ``check`` now and then, ``stop`` at the end. ``restarts`` counts deaths of what separated."""

    def __init__(self, spec: WorkerSpec, source: Ring, status: Status, spare: bool = True) -> None:
        self._spec, self._source, self._status = spec, source, status
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[SpawnProcess | None] = [None, None]
        self._began = [0.0, 0.0]
        self._spare = spare
        self._away_since: float | None = None  # a death whose end is still to be told
        self._spare_told = False  # that spares die
        self._pause = self._start_at = 0.0
        self._seen = (0, 0)  # results, and samples heard when the last of them came
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the process that separates."""
        process = self._processes[self._active]
        return process.pid if process else None

    @property
    def pids(self) -> list[int]:
        """Of the one that separates, and of the spare."""
        return [process.pid for process in self._processes if process and process.pid and process.is_alive()]

    @property
    def ready(self) -> bool:
        return self._status.state(self._active) == READY

    @property
    def spare_ready(self) -> bool:
        return self._alive(1 - self._active) and self._status.state(1 - self._active) == READY

    def start(self) -> None:
        self._launch(self._active, time.monotonic())

    def wait_ready(self, seconds: float) -> None:
        """Raises StreamsepError when the model cannot be loaded, or not in time."""
        end = time.monotonic() + seconds
        while not self.ready:
            if not self._alive(self._active):
                raise StreamsepError(f"the model '{self._spec.model}' could not be loaded; streamsep doctor tells why.")
            if time.monotonic() > end:
                raise StreamsepError(f"the model was not loaded within {seconds:.0f} s; is the machine overloaded?")
            time.sleep(0.02)

    def check(self, now: float | None = None) -> str | None:
        """Replace the process when it is dead or stuck. Returns one line when there is something to tell.

        ``now``: of ``time.monotonic``.
        """
        now = time.monotonic() if now is None else now
        if self._processes[self._active] is None:
            return None
        self._end_if_stuck()
        return self._judge_spare(now) or self._judge_active(now)

    def stop(self) -> None:
        self._status.set("stop", 1)
        for slot, process in enumerate(self._processes):
            if process is not None:
                process.join(2)
                if process.is_alive():
                    process.kill()
                    process.join(2)
                self._processes[slot] = None

    @property
    def _active(self) -> int:
        return self._status.get("active")

    def _alive(self, slot: int) -> bool:
        process = self._processes[slot]
        return process is not None and process.is_alive()

    def _launch(self, slot: int, now: float) -> None:
        self._status.set_state(slot, LOADING)
        self._began[slot] = now
        # A daemon ends with its parent; a parent that is killed is noticed by the process itself.
        process = self._context.Process(target=run, args=(self._spec, slot), name="streamsep-model", daemon=True)
        try:
            process.start()
        except OSError:  # no room for another process now
            self._defer(slot, now)
            self._began[slot] = 0.0
        else:
            self._processes[slot] = process

    def _all_well(self, now: float) -> str | None:
        if not self.ready:
            return None
        if self._spare and self._processes[1 - self._active] is None and now >= self._start_at:
            self._launch(1 - self._active, now)
        if self._away_since is None:
            return None
        away, self._away_since = now - self._away_since, None
        return f"the model is back after {away:.1f} s; the stems return."

    def _judge_spare(self, now: float) -> str | None:
        """Forget a spare that has died, so that another one is launched; one line for the first of them."""
        slot = 1 - self._active
        process = self._processes[slot]
        if process is None or process.is_alive():
            return None
        cause = self._cause(slot)
        self._processes[slot] = None
        self._defer(slot, now)
        told, self._spare_told = self._spare_told, True
        return None if told else f"the spare model process {cause}; the sound goes on, and another spare is started."

    def _judge_active(self, now: float) -> str | None:
        if self._alive(self._active):
            return self._all_well(now)
        if self._away_since is None or self._began[self._active] > self._away_since:
            return self._replace(now)
        if now >= self._start_at:
            self._launch(self._active, now)
        return None

    def _replace(self, now: float) -> str:
        """The active process is dead: the spare takes over, or a new one is started."""
        dead = self._active
        cause = self._cause(dead)
        self.restarts += 1
        self._status.set_state(dead, LOADING)
        if self.spare_ready:
            self._hand_over(dead)
            self._spare_told = False
            self._start_at = now + _SETTLE
            return f"the model process {cause}; its spare takes over, the input bridges a moment."
        self._away_since = now
        if self._alive(1 - dead):
            self._hand_over(dead)
            return f"the model process {cause}; the sound goes on without separation until its spare has loaded."
        self._defer(dead, now)
        wait = f" in {self._start_at - now:.0f} s" if self._start_at > now else ""
        return f"the model process {cause}; the sound goes on without separation, the model restarts{wait}."

    def _hand_over(self, dead: int) -> None:
        """It is the other one's turn; the time that the dead one was silent must not be counted against it."""
        self._processes[dead] = None
        self._status.set("active", 1 - dead)
        self._seen = (self._status.get("ticks"), self._source.end)

    def _cause(self, slot: int) -> str:
        failed = self._status.state(slot) == FAILED
        return "could not load" if failed else f"ended ({_exit(self._processes[slot])})"

    def _defer(self, slot: int, now: float) -> None:
        """When the next process of ``slot`` may start: at once, or later and later where they die young."""
        young = self._began[slot] > 0 and now - self._began[slot] < _QUICK
        self._pause = min(_MAX_PAUSE, 2 * self._pause + 1) if young else 0.0
        self._start_at = now + self._pause

    def _end_if_stuck(self) -> None:
        results, heard = self._status.get("ticks"), self._source.end
        process = self._processes[self._active]
        if results != self._seen[0] or not self.ready:
            self._seen = (results, heard)
        elif heard - self._seen[1] > _STUCK and process is not None:
            process.kill()
            process.join(1)


def _exit(process: SpawnProcess | None) -> str:
    code = process.exitcode if process else None
    if code is None or code >= 0:
        return f"exit code {code}"
    named = {number.value: number.name for number in signal.Signals}  # those of real time have none
    return f"killed by {named.get(-code, f'signal {-code}')}"
