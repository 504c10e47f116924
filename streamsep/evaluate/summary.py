"""What all songs say together: means, spreads, intervals of every measure, and tests between systems. No files here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from streamsep.config import STEMS
from streamsep.evaluate.labels import MEASURES, TESTED, row_label
from streamsep.evaluate.metrics import median
from streamsep.evaluate.run import SongRecord
from streamsep.evaluate.scores import MIXTURE, Row
from streamsep.evaluate.statistics import Comparison, Summary, compare, summarize

MEAN = "mean"
_IDEAL = "ideal_"


def summaries(records: Sequence[SongRecord]) -> list[dict[str, Any]]:
    """For every row: ``measures`` (name → stem or ``mean`` → summary), ``leakage`` and ``correlation`` (4 x 4 of
    summaries) and ``residual_db``; a summary has count, mean, deviation, median, low and high over songs.

    ``mean`` is over the stems that a song has.
    """
    return [_row_summary(records, row) for row in rows_of(records)]


def rows_of(records: Sequence[SongRecord]) -> list[Row]:
    """Every row of any song, in order of appearance."""
    return list(dict.fromkeys(row for record in records for row in record.scores.sdr))


def compared_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows between which tests are made: all that separates at the first lookahead, the default at the others."""
    found = [row for row in rows if row.estimate != MIXTURE and not row.estimate.startswith(_IDEAL)]
    first = next((row.lookahead for row in found if row.lookahead is not None), None)
    return [row for row in found if row.lookahead in (None, first) or row.estimate not in ("hard", "soft", "guide")]


def comparisons(records: Sequence[SongRecord]) -> dict[str, list[Comparison]]:
    """For every measure that is tested: each two systems on each stem and on the mean, Holm over all of a measure."""
    rows = compared_rows(rows_of(records))
    found: dict[str, list[Comparison]] = {}
    for name in TESTED:
        scores = {
            row_label(row): {stem: song_values(records, row, name, stem) for stem in (*STEMS, MEAN)} for row in rows
        }
        tests = compare(scores)
        if tests:
            found[name] = tests
    return found


def song_values(records: Sequence[SongRecord], row: Row, name: str, stem: str) -> list[float | None]:
    """One value a song of a measure on a stem, or on the mean of the stems that the song has."""
    return [_value(record, row, name, stem) for record in records]


def _value(record: SongRecord, row: Row, name: str, stem: str) -> float | None:
    if stem == MEAN:
        values = [value for one in STEMS if (value := _value(record, row, name, one)) is not None]
        return float(np.mean(values)) if values else None
    measured = record.measures.get(row, {}).get("stems", {}).get(stem, {})
    if name in measured:
        return measured[name]
    sdr = record.scores.sdr.get(row, {}).get(stem)
    if sdr is None or not sdr.size or name not in ("si_sdr", "si_sdr_gain"):
        return None
    return median(sdr if name == "si_sdr" else sdr - record.scores.sdr[Row(MIXTURE)][stem])


def _row_summary(records: Sequence[SongRecord], row: Row) -> dict[str, Any]:
    measures: dict[str, dict[str, Any]] = {}
    for measure in MEASURES:
        found = {stem: summarize(song_values(records, row, measure.key, stem)) for stem in (*STEMS, MEAN)}
        if found[MEAN] is not None:
            measures[measure.key] = {stem: _dict(summary) for stem, summary in found.items()}
    across = [found for record in records if "residual_db" in (found := record.measures.get(row, {}))]
    return {
        "estimate": row.estimate,
        "lookahead": row.lookahead,
        "label": row_label(row),
        "measures": measures,
        "leakage": _matrix([entry["leakage"] for entry in across]),
        "correlation": _matrix([entry["correlation"] for entry in across]),
        "residual_db": _dict(summarize([entry["residual_db"] for entry in across])),
    }


def _matrix(matrices: Sequence[Any]) -> list[list[dict[str, Any] | None]] | None:
    if not matrices:
        return None
    size = range(len(STEMS))
    return [[_dict(summarize([matrix[i][j] for matrix in matrices])) for j in size] for i in size]


def _dict(summary: Summary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(summary).items()}
