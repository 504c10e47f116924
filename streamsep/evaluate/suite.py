"""The whole of an evaluation: songs found, measured in parallel, resumed, summed up, written. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import streamsep
from streamsep.config import SAMPLE_RATE
from streamsep.data.systems import system_name
from streamsep.errors import OptionError
from streamsep.evaluate.entries import Plan, baseline_name, plan_pieces
from streamsep.evaluate.folder import ReportFolder, fingerprint
from streamsep.evaluate.labels import OURS
from streamsep.evaluate.page import build_page
from streamsep.evaluate.perceptual import find_judges
from streamsep.evaluate.run import EvaluateOptions, Evaluation, SongRecord
from streamsep.evaluate.songs import SongFolder
from streamsep.evaluate.summary import comparisons, summaries
from streamsep.evaluate.workers import Setup, measure_songs

Progress = Callable[[str, int, int], None]
Robustness = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Suite:
    """What to measure, and where to. ``data``: what the songs are called; ``exhibits``: how many are shown."""

    data: str
    plan: Plan
    options: EvaluateOptions
    out: Path | None = None
    nisqa: Path | None = None
    workers: int = 1
    exhibits: int = 3

    def __post_init__(self) -> None:
        """Raise OptionError for the first value that makes no sense."""
        if self.workers < 1:
            raise OptionError(f"--workers {self.workers} measures nothing; give 1 or more.")
        if self.exhibits < 0:
            raise OptionError(f"--exhibits {self.exhibits} is negative; give 0 or more.")
        names = [*map(baseline_name, self.plan.baselines), *map(system_name, self.plan.systems)]
        taken = [*names, *OURS]
        twice = next((name for name in names if taken.count(name) > 1), None)
        if twice is not None:
            raise OptionError(f"two of the rows would be called '{twice}'; give them different names.")


def run_suite(
    suite: Suite, songs: Sequence[SongFolder], progress: Progress, robustness: Robustness | None = None
) -> tuple[Evaluation, dict[str, Any]]:
    """Measure ``songs`` and return the evaluation and what is written as results.json.

    ``progress(name, done, of)`` in pieces of work; ``robustness`` measures what its checks are. With ``out``, finished
    songs are kept one by one, those of an earlier run with the same options are not measured again, and results and
    page are written at the end.
    Raises StreamsepError for what cannot be loaded or written.
    """
    songs = songs[: suite.options.limit]
    options = replace(suite.options, exhibits=_shown(songs, suite.exhibits if suite.out else 0))
    notes = find_judges(suite.nisqa)[1] if "perceptual" in options.families else []
    folder = None if suite.out is None else ReportFolder(suite.out, fingerprint(suite.plan, options, notes))
    checks = None if robustness is None else robustness()
    found: dict[str, SongRecord] = {}
    for song in songs:
        if folder is not None and (record := folder.finished(song)) is not None:
            found[song.name] = record
    failures: dict[str, str] = {}
    pieces = 1 + plan_pieces(suite.plan)
    total, done = pieces * len(songs), pieces * len(found)
    progress("", done, total)

    def step(name: str) -> None:
        nonlocal done
        progress(name, done, total)
        done = min(done + 1, total)

    def keep(song: SongFolder, record: SongRecord | str) -> None:
        if isinstance(record, str):
            failures[song.name] = record
            return
        found[song.name] = record
        if folder is not None:
            folder.keep(song, record)

    left = [song for song in songs if song.name not in found]
    measure_songs(left, Setup(suite.plan, options, suite.nisqa), suite.workers, keep, step)
    result = Evaluation(latency_ms=_latencies(suite.plan))
    for song in songs:
        if song.name in failures:
            result.failures.append(failures[song.name])
        else:
            result.records.append(found[song.name])
            result.failures.extend(found[song.name].failures)
    report = build_report(suite.data, suite.plan, result, notes, checks)
    if folder is not None:
        folder.write(report, build_page(report, result.records))
    return result, report


def build_report(
    data: str, plan: Plan, result: Evaluation, notes: Sequence[str] = (), robustness: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What is written as results.json."""
    return {
        "version": streamsep.__version__,
        "data": data,
        "model": plan.model,
        "device": plan.device,
        "plan": asdict(plan),
        "notes": list(notes),
        **result.to_dict(),
        "summaries": summaries(result.records),
        "comparisons": {name: [asdict(test) for test in tests] for name, tests in comparisons(result.records).items()},
        "robustness": robustness,
    }


def _shown(songs: Sequence[SongFolder], count: int) -> tuple[str, ...]:
    """Names of songs spread over the whole list."""
    count = min(count, len(songs))
    return tuple(dict.fromkeys(songs[len(songs) * index // count].name for index in range(count)))


def _latencies(plan: Plan) -> dict[int, float]:
    """Milliseconds by lookahead, without the time to compute: the same for every model."""
    from streamsep.engine.lane import Lane
    from streamsep.engine.settings import Settings

    lanes = {lookahead: Lane(Settings(), SAMPLE_RATE, 2, lookahead) for lookahead in plan.lookaheads}
    return {lookahead: round(1_000 * lane.latency / SAMPLE_RATE, 3) for lookahead, lane in lanes.items()}
