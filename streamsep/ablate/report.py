"""Measures of many songs → one report: means, deviations, differences to the base. Knows names; prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from streamsep.ablate.measure import SongMeasures
from streamsep.ablate.statistics import Difference, Value, adjust, difference
from streamsep.ablate.variants import BASE, VARIANTS
from streamsep.config import STEMS
from streamsep.evaluate.statistics import summarize

Measures = Sequence[dict[str, SongMeasures]]  # of each song, by variant

DEFINITION = {
    "improvement": "SI-SDR over the mixture in dB: median over a song's active seconds; mean and deviation over songs",
    "true_tokens": "the same, mean of stems, of masks made from the true stems' tokens: what no model can beat by much",
    "accuracy": "share of the tokens written, free running and greedy, that are the true ones, where a stem sounds",
    "nll": "nats a token given the true past, where a stem sounds",
    "difference": "to the variant 'paper', song by song; p: two-sided Wilcoxon signed-rank test; adjusted: by Holm",
}


def report(songs: Measures) -> dict[str, Any]:
    """JSON-ready. The tests that Holm's correction counts: every stem, their mean and the acoustic accuracy, each
    variant against the base."""
    differences = _differences(songs)
    rows: list[dict[str, Any]] = []
    for variant in VARIANTS:
        name = variant.name
        rows.append(
            {
                "variant": name,
                "label": variant.label,
                "improvement": {key: _summary(songs, name, _gain(key)) for key in (*STEMS, "mean")},
                "true_tokens": _summary(songs, name, lambda m: m.ceiling["mean"]),
                "accuracy": {key: _summary(songs, name, _accuracy(key)) for key in ("semantic", "acoustic")},
                "nll": {key: _summary(songs, name, _nll(key)) for key in ("semantic", "acoustic")},
                "difference": {key: asdict(found) for (other, key), found in differences.items() if other == name},
            }
        )
    return {"definition": DEFINITION, "songs": len(songs), "tests": len(differences), "variants": rows}


def _differences(songs: Measures) -> dict[tuple[str, str], Difference]:
    found: dict[tuple[str, str], Difference] = {}
    reads = {**{key: _gain(key) for key in (*STEMS, "mean")}, "accuracy": _accuracy("acoustic")}
    for variant in VARIANTS:
        for key, read in reads.items() if variant.name != BASE else ():
            gap = difference([read(song[variant.name]) for song in songs], [read(song[BASE]) for song in songs])
            if gap is not None:
                found[variant.name, key] = gap
    return dict(zip(found, adjust(list(found.values())), strict=True))


def _summary(songs: Measures, name: str, read: Callable[[SongMeasures], Value]) -> dict[str, Any] | None:
    found = summarize([read(song[name]) for song in songs])
    return None if found is None else asdict(found)


def _gain(key: str) -> Callable[[SongMeasures], Value]:
    return lambda measures: measures.improvement[key]


def _accuracy(key: str) -> Callable[[SongMeasures], Value]:
    return lambda measures: measures.accuracy[key]


def _nll(key: str) -> Callable[[SongMeasures], Value]:
    return lambda measures: measures.nll[key]
