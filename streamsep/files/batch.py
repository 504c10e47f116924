"""Many songs, one model: goes on after a failure and remembers it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamsep
from streamsep.errors import StreamsepError
from streamsep.files.options import PAPER, SeparateOptions
from streamsep.files.plan import Failure, Song, plan
from streamsep.files.progress import Progress
from streamsep.files.song import SongReport, check_song, separate_song
from streamsep.files.splitter import Separates


@dataclass(frozen=True)
class BatchReport:
    """What came of a whole call."""

    options: SeparateOptions
    songs: tuple[SongReport, ...]
    failures: tuple[Failure, ...]

    def to_dict(self) -> dict[str, Any]:
        """The one object that ``--json`` prints."""
        options = self.options
        return {
            "version": streamsep.__version__,
            "model": options.model,
            "device": options.device,
            "mode": options.mode,
            "render": options.render,
            "lookahead": options.lookahead,
            "seed": options.seed,
            "format": options.format,
            "bits": options.depth,
            "songs": [song.to_dict() for song in self.songs],
            "failed": [{"source": str(failure.source), "error": failure.error} for failure in self.failures],
        }


def separate_files(paths: list[Path], options: SeparateOptions, progress: Progress) -> BatchReport:
    """Separate every song among ``paths``. A song that fails is reported and the next one begins.

    Raises StreamsepError when the model cannot be loaded: no song could go on then.
    """
    songs, failures = plan(paths, options.out)
    for failure in failures:
        progress.failed(failure)
    lengths: dict[Song, int | None] = {}
    for song in songs:
        with _failing_alone(song, failures, progress):
            lengths[song] = check_song(song, options)
    reports: list[SongReport] = []
    separator = _load(options) if lengths else None
    for song, samples in lengths.items():
        assert separator is not None
        with _failing_alone(song, failures, progress):
            with progress.song(song, samples) as heard:
                report = separate_song(separator, song, options, heard)
            reports.append(report)
            progress.done(report)
    return BatchReport(options, tuple(reports), tuple(failures))


@contextmanager
def _failing_alone(song: Song, failures: list[Failure], progress: Progress) -> Generator[None]:
    """Whatever goes wrong inside is this song's failure, not the batch's."""
    try:
        yield
    except StreamsepError as error:
        failure = Failure(song.source, str(error))
    except Exception as error:
        if os.environ.get("STREAMSEP_DEBUG"):
            raise
        failure = Failure(song.source, f"'{song.source}' failed: {type(error).__name__}: {error}.")
    else:
        return
    failures.append(failure)
    progress.failed(failure)


def _load(options: SeparateOptions) -> Separates:
    if options.mode == PAPER:
        from streamsep.paper.separator import load

        return load(options.model, options.device, options.render, options.threads)
    return streamsep.load(model=options.model, device=options.device, render=options.render, threads=options.threads)
