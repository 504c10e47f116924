"""Latency against quality: every lookahead, render and model over songs with true stems. Speaks through ``step``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import streamsep
from streamsep.choices import MASK, RENDERS, check_choice, check_lookahead
from streamsep.config import FRAME, LOOKAHEADS, SAMPLE_RATE
from streamsep.engine.separator import Separator
from streamsep.errors import AudioError, OptionError
from streamsep.evaluate.scores import Row, SongScorer, SongScores, total_summary
from streamsep.evaluate.songs import SongFolder, load_song
from streamsep.profile.impulse import Sound, impulse_latency

_BLOCK = 24  # samples a push while the latency is measured: half a millisecond
Times = list[float]


@dataclass(frozen=True)
class SweepOptions:
    """What to try. ``seconds`` of each of ``limit`` songs, all when None."""

    models: tuple[str, ...] = ("tiny",)
    lookaheads: tuple[int, ...] = LOOKAHEADS
    renders: tuple[str, ...] = RENDERS
    device: str = "cpu"
    threads: int = 1
    seconds: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for the first value that makes no sense."""
        for lookahead in self.lookaheads:
            check_lookahead(lookahead)
        for render in self.renders:
            check_choice("render", render, RENDERS)
        if self.seconds is not None and not 1 <= self.seconds < math.inf:
            raise OptionError(f"--seconds {self.seconds:g} is less than one window; give 1 or more.")
        if self.threads < 1:
            raise OptionError(f"--threads {self.threads} leaves nobody to work; give 1 or more.")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"--limit {self.limit} leaves no song; give 1 or more.")


@dataclass(frozen=True)
class Point:
    """One way to separate."""

    model: str
    render: str
    lookahead: int


def sweep(
    folders: Sequence[SongFolder], options: SweepOptions, step: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure every point on every song; ``step`` gets a line before each piece of work.

    A song that cannot be read is told in ``failures``, the others are measured. Raises StreamsepError when a model
    cannot be had.
    """
    points, failures = [], []
    songs = []
    for folder in folders[: options.limit]:
        try:
            songs.append(load_song(folder, options.seconds))
        except AudioError as error:
            failures.append(str(error))
    base = total_summary([SongScorer(song).scores for song in songs]) if songs else []
    for point in _points(options):
        separator = streamsep.load(point.model, options.device, render=point.render, threads=options.threads)
        scores: list[SongScores] = []
        times: Times = []
        row = Row(point.render, point.lookahead)
        for song in songs:
            step(f"{_label(point)}: {song.name}")
            scorer = SongScorer(song)
            scorer.add(row, _separate(separator, song.mixture, point.lookahead, times))
            scores.append(scorer.scores)
        points.append({**vars(point), **_latency(separator, point.lookahead, times), **_scores(scores, row)})
    return {
        "device": options.device,
        "threads": options.threads,
        "songs": [song.name for song in songs],
        "seconds": round(sum(song.seconds for song in songs), 1),
        "mixture": {k: v for k, v in base[0].items() if k == "si_sdr"} if base else {},
        "points": points,
        "failures": failures,
    }


def steps(folders: Sequence[SongFolder], options: SweepOptions) -> int:
    """How often :func:`sweep` calls ``step`` when nothing fails."""
    return len(folders[: options.limit]) * len(_points(options))


def _points(options: SweepOptions) -> list[Point]:
    return [Point(m, r, k) for m in options.models for r in options.renders for k in options.lookaheads]


def _label(point: Point) -> str:
    return f"{point.model}, {point.render}, lookahead {point.lookahead}"


def _separate(separator: Separator, mixture: Sound, lookahead: int, times: Times) -> dict[str, Sound]:
    """Frame by frame, as live; milliseconds of each push go to ``times``."""
    stream = separator.stream(SAMPLE_RATE, 2, lookahead)
    parts: list[dict[str, Sound]] = []
    for start in range(0, mixture.shape[1], FRAME):
        begin = time.perf_counter()
        parts.append(stream.push(mixture[:, start : start + FRAME]))
        times.append(1_000 * (time.perf_counter() - begin))
    parts.append(stream.flush())
    return {stem: np.concatenate([part[stem] for part in parts], axis=1) for stem in parts[0]}


def _latency(separator: Separator, lookahead: int, times: Times) -> dict[str, Any]:
    found = impulse_latency(lambda: separator.stream(SAMPLE_RATE, 2, lookahead), SAMPLE_RATE, FRAME, _BLOCK)
    compute = float(np.median(times)) if times else 0.0
    own = 1_000 * found.samples / SAMPLE_RATE
    return {
        "algorithmic_ms": round(own, 3),
        "impulse_offset": found.offset if separator.render == MASK else None,
        "compute_ms": round(compute, 3),
        "total_ms": round(own + compute, 3),
    }


def _scores(scores: list[SongScores], row: Row) -> dict[str, Any]:
    rows = total_summary(scores)
    wanted = [one for one in rows if one["estimate"] == row.estimate and one["lookahead"] == row.lookahead]
    return {key: wanted[0][key] for key in ("si_sdr", "improvement")} if wanted else {}
