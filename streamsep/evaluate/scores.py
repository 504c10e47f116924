"""Scores of songs: SI-SDR of each estimate in each active window, and how windows and songs are summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streamsep.config import STEMS
from streamsep.evaluate.metrics import (
    ABSENT_DBFS,
    ACTIVE_DBFS,
    Sound,
    Values,
    active,
    level_db,
    median,
    si_sdr,
    windows,
)
from streamsep.evaluate.songs import TrueStems

MIXTURE, IDEAL_BINS, IDEAL_BANDS = "mixture", "ideal_bins", "ideal_bands"
ORACLES: tuple[str, ...] = (MIXTURE, IDEAL_BINS, IDEAL_BANDS)


@dataclass(frozen=True)
class Row:
    """One way to estimate the stems; ``lookahead`` is None for those that need no model."""

    estimate: str
    lookahead: int | None = None


@dataclass
class SongScores:
    """What was measured on one song.

    ``sdr[row][stem]`` is the SI-SDR in each window in which the stem is active; ``leak[row][stem]``, for stems that are
    not in the song at all, the level of the estimate relative to the mixture in each window in which that sounds.
    """

    name: str
    seconds: float
    sdr: dict[Row, dict[str, Values]] = field(default_factory=dict)
    leak: dict[Row, dict[str, Values]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready and exact, so that a resumed run says the same; None stands for what is no number."""
        rows = [{**_head(row), "sdr": _listed(self.sdr[row]), "leak": _listed(self.leak[row])} for row in self.sdr]
        return {"song": self.name, "seconds": self.seconds, "rows": rows}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> SongScores:
        """Of what :meth:`to_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        scores = SongScores(str(raw["song"]), float(raw["seconds"]))
        for entry in raw["rows"]:
            row = Row(entry["estimate"], entry["lookahead"])
            for target, name in ((scores.sdr, "sdr"), (scores.leak, "leak")):
                target[row] = {stem: np.array(values, np.float64) for stem, values in entry[name].items()}
        return scores


class SongScorer:
    """Scores one estimate of a song after the other, so that no two need to be in memory at once."""

    def __init__(self, song: TrueStems) -> None:
        self.scores = SongScores(song.name, song.seconds)
        mixture = windows(song.mixture)
        self._mixture_db = level_db(mixture)
        self._sounding = self._mixture_db > ACTIVE_DBFS
        self._active: dict[str, np.ndarray[Any, np.dtype[np.bool_]]] = {}
        self._reference: dict[str, Values] = {}
        self._absent: list[str] = []
        for index, stem in enumerate(STEMS):
            cut = windows(song.stems[index])
            level = level_db(cut)
            self._active[stem] = active(level, self._mixture_db)
            self._reference[stem] = cut[self._active[stem]]
            if np.all(level <= ABSENT_DBFS):
                self._absent.append(stem)
        self.add(Row(MIXTURE), dict.fromkeys(STEMS, song.mixture))

    def add(self, row: Row, estimate: Mapping[str, Sound]) -> None:
        """Score ``estimate``: stems as [2, n] float32 at 48 kHz, aligned with the song. A missing one has no score."""
        cuts = {stem: windows(estimate[stem]) for stem in STEMS if stem in estimate}
        self.scores.sdr[row] = {
            stem: si_sdr(cuts[stem][self._active[stem]], self._reference[stem])
            if stem in cuts
            else np.full(len(self._reference[stem]), np.nan)
            for stem in STEMS
        }
        self.scores.leak[row] = {
            stem: (level_db(cuts[stem]) - self._mixture_db)[self._sounding] for stem in self._absent if stem in cuts
        }


def song_summary(song: SongScores) -> dict[str, Any]:
    """Medians over the song's active windows, for every row."""
    return {
        "song": song.name,
        "seconds": round(song.seconds, 3),
        "active_windows": {stem: int(song.sdr[Row(MIXTURE)][stem].size) for stem in STEMS},
        "rows": [
            {**_head(row), **_medians([song], row), "absent_db": _rounded(_leaks([song], row))} for row in song.sdr
        ],
    }


def total_summary(songs: Sequence[SongScores]) -> list[dict[str, Any]]:
    """For every row, of the songs that have it (a separator of others may fail on some): medians over all their active
    windows, and of the songs' own medians the mean (``over_songs``) and the median (``median_song``).
    """
    rows: list[dict[str, Any]] = []
    for row in dict.fromkeys(row for song in songs for row in song.sdr):
        told = [song for song in songs if row in song.sdr]
        each = [_medians([song], row, places=None) for song in told]
        joined = {"over_songs": _joined(each, _mean), "median_song": _joined(each, _middle)}
        absent = _rounded(_leaks(told, row))
        head = {**_head(row), "songs": len(told)}
        rows.append({**head, **_medians(told, row), **joined, "absent_db": absent})
    return rows


def _listed(values: Mapping[str, Values]) -> dict[str, list[float | None]]:
    return {stem: [value if np.isfinite(value) else None for value in found.tolist()] for stem, found in values.items()}


def _head(row: Row) -> dict[str, Any]:
    return {"estimate": row.estimate, "lookahead": row.lookahead}


def _medians(songs: Sequence[SongScores], row: Row, places: int | None = 3) -> dict[str, dict[str, float | None]]:
    """SI-SDR and its improvement over the mixture: medians over the windows of all ``songs``, and the stems' mean.

    The improvement is taken window by window before the median.
    """
    sdr = {stem: np.concatenate([song.sdr[row][stem] for song in songs]) for stem in STEMS}
    base = {stem: np.concatenate([song.sdr[Row(MIXTURE)][stem] for song in songs]) for stem in STEMS}
    return {
        "si_sdr": _with_mean({stem: median(sdr[stem]) for stem in STEMS}, places),
        "improvement": _with_mean({stem: median(sdr[stem] - base[stem]) for stem in STEMS}, places),
    }


def _leaks(songs: Sequence[SongScores], row: Row) -> dict[str, float | None]:
    """Level of the estimate of each absent stem relative to the mixture, in dB: median over windows."""
    found: dict[str, float | None] = {}
    for stem in STEMS:
        parts = [song.leak[row][stem] for song in songs if stem in song.leak[row]]
        if parts:
            found[stem] = median(np.concatenate(parts))
    return found


def _joined(
    each: Sequence[dict[str, dict[str, float | None]]], average: Callable[[Iterable[float | None]], float | None]
) -> dict[str, dict[str, float | None]]:
    """The ``average`` over songs of what :func:`_medians` gave for each."""
    return {
        kind: _with_mean({stem: average(single[kind][stem] for single in each) for stem in STEMS})
        for kind in ("si_sdr", "improvement")
    }


def _middle(values: Iterable[float | None]) -> float | None:
    return median(np.array([value for value in values if value is not None]))


def _mean(values: Iterable[float | None]) -> float | None:
    kept = [value for value in values if value is not None]
    return float(np.mean(kept)) if kept else None


def _with_mean(values: dict[str, float | None], places: int | None = 3) -> dict[str, float | None]:
    return _rounded({**values, "mean": _mean(values.values())}, places)


def _rounded(values: dict[str, float | None], places: int | None = 3) -> dict[str, float | None]:
    if places is None:
        return values
    return {name: None if value is None else round(value, places) for name, value in values.items()}
