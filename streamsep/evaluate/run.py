"""One song's evaluation, every entry's rows scored and measured, as a record; and the records of all songs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamsep.choices import check_lookahead
from streamsep.config import STEMS
from streamsep.data.systems import SeparatorError
from streamsep.errors import OptionError
from streamsep.evaluate.entries import Entry
from streamsep.evaluate.exhibit import Exhibit
from streamsep.evaluate.measures import Measures, SongMeasures
from streamsep.evaluate.metrics import ABSENT_DBFS, ACTIVE_BELOW_MIXTURE_DB, ACTIVE_DBFS, LIMIT_DB, Sound
from streamsep.evaluate.perceptual import Judge
from streamsep.evaluate.scores import MIXTURE, Row, SongScorer, SongScores, song_summary, total_summary
from streamsep.evaluate.songs import SongFolder, load_song

Step = Callable[[str], None]

DEFINITION = {
    "si_sdr": f"median over the active one-second windows; both channels joined; clamped to ±{LIMIT_DB:.0f} dB",
    "improvement": "median over the active windows of the SI-SDR minus the mixture's in the same window",
    "active": f"stem above {ACTIVE_DBFS:.0f} dBFS RMS and above the mixture minus {ACTIVE_BELOW_MIXTURE_DB:.0f} dB",
    "absent_db": f"estimate of a stem never above {ABSENT_DBFS:.0f} dBFS in a song, relative to the mixture, in dB",
    "ideal": "ratio mask of power 2 on mid and side, STFT 1920/960: 961 bins, or the model's 120 bands",
}


@dataclass(frozen=True)
class EvaluateOptions:
    """``seconds`` of each song, ``limit`` songs, None for all of it; ``families`` of measures beside the SI-SDR.

    ``exhibits``: names of songs of which pictures and sounds are kept.
    """

    lookaheads: tuple[int, ...] = (0,)
    seconds: float | None = None
    limit: int | None = None
    families: tuple[str, ...] = ()
    exhibits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for lookahead in self.lookaheads:
            check_lookahead(lookahead)
        if self.seconds is not None and not 1 <= self.seconds < math.inf:
            raise OptionError(f"--seconds {self.seconds:g} is less than one window; give 1 or more.")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"--limit {self.limit} leaves no song; give 1 or more.")


@dataclass
class SongRecord:
    """All that is kept of a measured song. ``failures``: a sentence for each system that failed on it."""

    scores: SongScores
    measures: dict[Row, Measures] = field(default_factory=dict)
    exhibit: dict[str, Any] | None = None
    failures: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        raw = self.scores.to_dict()
        for entry in raw["rows"]:
            entry["measures"] = self.measures.get(Row(entry["estimate"], entry["lookahead"]))
        return {**raw, "exhibit": self.exhibit, "failures": self.failures}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> SongRecord:
        """Raises KeyError, TypeError or ValueError for what :meth:`to_dict` did not write."""
        measures = {
            Row(entry["estimate"], entry["lookahead"]): entry["measures"]
            for entry in raw["rows"]
            if entry["measures"] is not None
        }
        return SongRecord(SongScores.from_dict(raw), measures, raw["exhibit"], list(raw["failures"]))


@dataclass
class Evaluation:
    """Records of all songs that could be measured, and one sentence for each thing that could not."""

    records: list[SongRecord] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    latency_ms: dict[int, float] = field(default_factory=dict)

    @property
    def songs(self) -> list[SongScores]:
        return [record.scores for record in self.records]

    def to_dict(self, brief: bool = False) -> dict[str, Any]:
        """JSON-ready; ``brief`` leaves the single songs out."""
        report: dict[str, Any] = {
            "definition": DEFINITION,
            "stems": list(STEMS),
            "songs_measured": len(self.songs),
            "seconds_measured": round(sum(song.seconds for song in self.songs), 3),
            "latency_ms": {str(k): value for k, value in self.latency_ms.items()},
            "total": total_summary(self.songs),
            "failures": self.failures,
        }
        if not brief:
            report["songs"] = [song_summary(song) for song in self.songs]
        return report


def evaluate_song(
    folder: SongFolder,
    entries: Sequence[Entry],
    options: EvaluateOptions,
    judges: Sequence[Judge] = (),
    step: Step = lambda _: None,
) -> SongRecord:
    """Score and measure one song; a system that fails has no row. Raises AudioError when the song cannot be read.

    ``step`` is called with the song's name before each piece of work on it.
    """
    song = load_song(folder, options.seconds)
    scorer = SongScorer(song)
    record = SongRecord(scorer.scores)
    measure = SongMeasures(song, options.families, judges) if options.families else None
    exhibit = Exhibit(song) if folder.name in options.exhibits else None

    def keep(row: Row, stems: Mapping[str, Sound]) -> None:
        if row.estimate != MIXTURE:
            scorer.add(row, stems)
        if measure is not None:
            record.measures[row] = measure(stems)
        if exhibit is not None:
            exhibit.add(row, stems)

    step(folder.name)
    keep(Row(MIXTURE), dict.fromkeys(STEMS, song.mixture))
    for entry in entries:
        before: int | None | str = ""
        try:
            for row, stems in entry(song):
                if row.lookahead != before:
                    step(folder.name)
                before = row.lookahead
                keep(row, stems)
        except SeparatorError as error:
            step(folder.name)
            record.failures.append(f"'{folder.name}': {error}")
    record.exhibit = None if exhibit is None else exhibit.to_dict()
    return record
