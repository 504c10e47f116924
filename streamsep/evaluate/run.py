"""Evaluation of a model over a folder of songs: oracles and every way of decoding, at every lookahead asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamsep.config import LOOKAHEADS, STEMS
from streamsep.errors import AudioError, OptionError
from streamsep.evaluate.masks import ideal_stems
from streamsep.evaluate.metrics import ABSENT_DBFS, ACTIVE_BELOW_MIXTURE_DB, ACTIVE_DBFS, LIMIT_DB, Sound
from streamsep.evaluate.scores import (
    IDEAL_BANDS,
    IDEAL_BINS,
    Row,
    SongScorer,
    SongScores,
    song_summary,
    total_summary,
)
from streamsep.evaluate.songs import SongFolder, load_song

Step = Callable[[str], None]

DEFINITION = {
    "si_sdr": f"median over the active one-second windows; both channels joined; clamped to ±{LIMIT_DB:.0f} dB",
    "improvement": "median over the active windows of the SI-SDR minus the mixture's in the same window",
    "active": f"stem above {ACTIVE_DBFS:.0f} dBFS RMS and above the mixture minus {ACTIVE_BELOW_MIXTURE_DB:.0f} dB",
    "absent_db": f"estimate of a stem never above {ABSENT_DBFS:.0f} dBFS in a song, relative to the mixture, in dB",
    "ideal": "ratio mask of power 2 on mid and side, STFT 1920/960: 961 bins, or the model's 120 bands",
}


class Estimator(Protocol):
    """Anything that takes mixtures apart."""

    def estimates(self, mixture: Sound, lookahead: int) -> Iterable[tuple[str, Mapping[str, Sound]]]:
        """``mixture`` [2, n] float32 at 48 kHz → pairs of a decoding's name and its stems, each [2, n], aligned."""
        ...

    def latency(self, lookahead: int) -> int:
        """Samples at 48 kHz."""
        ...


@dataclass(frozen=True)
class EvaluateOptions:
    """``seconds`` of each song, ``limit`` songs, None for all of it."""

    lookaheads: tuple[int, ...] = (0,)
    seconds: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for lookahead in self.lookaheads:
            if lookahead not in LOOKAHEADS:
                known = ", ".join(str(k) for k in LOOKAHEADS)
                raise OptionError(f"unknown lookahead {lookahead}; choose among {known} (frames of 40 ms).")
        if self.seconds is not None and self.seconds < 1:
            raise OptionError(f"--seconds {self.seconds:g} is less than one window; give 1 or more.")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"--limit {self.limit} leaves no song; give 1 or more.")


@dataclass
class Evaluation:
    """Scores of all songs that could be measured, and one sentence for each that could not."""

    songs: list[SongScores] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    latency_ms: dict[int, float] = field(default_factory=dict)

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


def evaluate_songs(
    folders: Sequence[SongFolder], estimator: Estimator, options: EvaluateOptions, step: Step = lambda _: None
) -> Evaluation:
    """Score ``estimator`` on every song. ``step`` is called with a song's name before each piece of work on it.

    A song that cannot be read becomes a failure and the next one is measured.
    """
    result = Evaluation()
    for lookahead in options.lookaheads:
        result.latency_ms[lookahead] = round(estimator.latency(lookahead) / 48, 3)
    for folder in folders[: options.limit]:
        try:
            result.songs.append(evaluate_song(folder, estimator, options, step))
        except AudioError as error:
            result.failures.append(str(error))
    return result


def evaluate_song(
    folder: SongFolder, estimator: Estimator, options: EvaluateOptions, step: Step = lambda _: None
) -> SongScores:
    """Score one song. Raises AudioError when it cannot be read."""
    step(folder.name)
    song = load_song(folder, options.seconds)
    scorer = SongScorer(song)
    for name, bands in ((IDEAL_BINS, False), (IDEAL_BANDS, True)):
        scorer.add(Row(name), dict(zip(STEMS, ideal_stems(song.stems, bands), strict=True)))
    for lookahead in options.lookaheads:
        step(folder.name)
        for name, stems in estimator.estimates(song.mixture, lookahead):
            scorer.add(Row(name, lookahead), stems)
    return scorer.scores


def steps(folders: Sequence[SongFolder], options: EvaluateOptions) -> int:
    """How often :func:`evaluate_songs` calls ``step`` when nothing fails."""
    return len(folders[: options.limit]) * (1 + len(options.lookaheads))
