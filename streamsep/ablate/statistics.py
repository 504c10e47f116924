"""Paired comparisons over songs. Knows numbers; knows nothing of what they measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

Value = float | None


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation over the songs in which there was something to measure."""

    mean: float
    deviation: float
    songs: int


@dataclass(frozen=True)
class Difference:
    """Of a variant to the base, song by song: mean, standard deviation, and the p of a two-sided Wilcoxon signed-rank
    test; ``adjusted`` by Holm among all tests of a report."""

    mean: float
    deviation: float
    songs: int
    p: float
    adjusted: float = 1.0


def summary(values: Sequence[Value]) -> Summary | None:
    """None when nothing was measured."""
    kept = np.array([value for value in values if value is not None], np.float64)
    if not kept.size:
        return None
    return Summary(float(kept.mean()), float(kept.std(ddof=1)) if kept.size > 1 else 0.0, int(kept.size))


def difference(variant: Sequence[Value], base: Sequence[Value]) -> Difference | None:
    """``variant`` minus ``base`` over the songs that both have; None when there is none. Not adjusted yet."""
    pairs = [(a, b) for a, b in zip(variant, base, strict=True) if a is not None and b is not None]
    found = summary([a - b for a, b in pairs])
    if found is None:
        return None
    gaps = np.array([a - b for a, b in pairs])
    p = float(np.asarray(wilcoxon(gaps))[1]) if np.any(gaps) else 1.0
    return Difference(found.mean, found.deviation, found.songs, p)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted so that the chance of even one false alarm among all stays what is asked for (Holm, 1979)."""
    adjusted = np.empty(len(p))
    largest = 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted.tolist()
