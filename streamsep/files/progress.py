"""What the user sees while songs are separated: a bar with its speed on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from streamsep.files.plan import Failure, Song
from streamsep.files.song import SongReport

Heard = Callable[[int, int], None]


class Progress:
    """Speaks on stderr about what happens and on stdout about what is done; with ``quiet`` only of failures."""

    def __init__(self, quiet: bool = False) -> None:
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self._output = Console(highlight=False, soft_wrap=True, quiet=quiet)

    @contextmanager
    def song(self, song: Song, samples: int | None) -> Generator[Heard]:
        """A bar for one song; gives the function that moves it on by a number of samples at a rate."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self._errors, transient=True, disable=not self._errors.is_terminal) as bars:
            task = bars.add_task(escape(song.source.name), total=samples, speed="")
            started, position = time.perf_counter(), 0

            def heard(count: int, rate: int) -> None:
                nonlocal position
                position += count
                speed = position / rate / max(1e-9, time.perf_counter() - started)
                bars.update(task, advance=count, speed=f"{speed:.1f}× real time")

            yield heard

    def done(self, report: SongReport) -> None:
        speed = report.seconds / max(1e-9, report.elapsed)
        names = ", ".join(report.stems)
        self._output.print(
            f"{escape(str(report.song.source))} → {escape(str(report.song.folder))}: {names} "
            f"({report.seconds:.1f} s at {speed:.1f}× real time)"
        )
        for warning in report.warnings:
            self._errors.print(f"streamsep: '{escape(str(report.song.source))}': {warning}.")

    def failed(self, failure: Failure) -> None:
        self._errors.print(f"streamsep: {escape(failure.error)}")

    def summary(self, songs: int, failures: int) -> None:
        if failures and songs + failures > 1:
            self._errors.print(f"streamsep: {failures} of {songs + failures} songs failed; the others are done.")
