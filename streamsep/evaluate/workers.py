"""Songs measured in several processes, one thread each. Knows processes and queues; knows nothing of measures."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from streamsep.errors import AudioError, StreamsepError
from streamsep.evaluate.entries import Entry, Plan, load_entries
from streamsep.evaluate.perceptual import Judge, find_judges
from streamsep.evaluate.run import EvaluateOptions, SongRecord, evaluate_song
from streamsep.evaluate.songs import SongFolder

Done = Callable[[SongFolder, SongRecord | str], None]
Step = Callable[[str], None]

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Setup:
    """All that a process needs to know. ``nisqa``: path of weights, or None."""

    plan: Plan
    options: EvaluateOptions
    nisqa: Path | None = None

    def load(self) -> tuple[list[Entry], list[Judge]]:
        """Raises StreamsepError as ``load_entries`` and ``find_judges`` do."""
        judges = find_judges(self.nisqa)[0] if "perceptual" in self.options.families else []
        return load_entries(self.plan), judges


def measure_songs(songs: Sequence[SongFolder], setup: Setup, workers: int, done: Done, step: Step) -> None:
    """Measure every song; ``done`` gets the record, or the sentence that says why there is none.

    Raises StreamsepError when something cannot be loaded, or a process dies.
    """
    if not songs:
        return
    if workers <= 1 or len(songs) == 1:
        entries, judges = setup.load()
        for song in songs:
            done(song, _measure(song, entries, setup.options, judges, step))
        return
    _Crew(setup, songs, min(workers, len(songs))).run(done, step)


def _measure(
    song: SongFolder, entries: Sequence[Entry], options: EvaluateOptions, judges: Sequence[Judge], step: Step
) -> SongRecord | str:
    try:
        return evaluate_song(song, entries, options, judges, step)
    except AudioError as error:
        return str(error)


class _Crew:
    def __init__(self, setup: Setup, songs: Sequence[SongFolder], workers: int) -> None:
        # Spawned, not forked: a parent with threads (BLAS, progress bars) must not be copied in mid-step.
        context = multiprocessing.get_context("spawn")
        self._songs = songs
        self._tasks: Any = context.Queue()
        self._events: Any = context.Queue()
        for index in range(len(songs)):
            self._tasks.put(index)
        for _ in range(workers):
            self._tasks.put(None)
        self._processes = [
            context.Process(target=_work, args=(setup, list(songs), self._tasks, self._events), daemon=True)
            for _ in range(workers)
        ]

    def run(self, done: Done, step: Step) -> None:
        for process in self._processes:
            process.start()
        try:
            left = len(self._songs)
            while left:
                kind, *what = self._next()
                if kind == "step":
                    step(what[0])
                elif kind == "done":
                    left -= 1
                    done(self._songs[what[0]], what[1])
                else:
                    raise StreamsepError(what[0]) if kind == "error" else RuntimeError(what[0])
        finally:
            for process in self._processes:
                process.terminate()
            for process in self._processes:
                process.join()

    def _next(self) -> Any:
        while True:
            try:
                return self._events.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                dead = [process.exitcode for process in self._processes if process.exitcode not in (None, 0)]
                if dead:
                    raise StreamsepError(
                        f"a process that measures songs ended with code {dead[0]}, perhaps for lack of memory; "
                        "the songs that were finished are kept: run it again with fewer --workers."
                    ) from None


def _work(setup: Setup, songs: list[SongFolder], tasks: Queue[int | None], events: Queue[tuple[Any, ...]]) -> None:
    threading.Thread(target=_end_with_parent, name="streamsep-parent", daemon=True).start()
    try:
        entries, judges = setup.load()
        while (index := tasks.get()) is not None:
            found = _measure(songs[index], entries, setup.options, judges, lambda name: events.put(("step", name)))
            events.put(("done", index, found))
    except KeyboardInterrupt:
        return
    except StreamsepError as error:
        events.put(("error", str(error)))
    except Exception as error:
        events.put(("fault", f"{type(error).__name__}: {' '.join(str(error).split())}"))


def _end_with_parent() -> None:
    """Whoever would read what is measured may have been killed: then nobody is to measure on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
