"""What a set of songs says: mean, spread, bootstrap interval, and whether two systems differ. Knows numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import wilcoxon

RESAMPLES = 2_000
LEVEL = 0.95
_MIN_PAIRS = 2


@dataclass(frozen=True)
class Summary:
    """Of ``count`` songs: mean, standard deviation (n - 1), median, and the 95 % bootstrap interval of the mean."""

    count: int
    mean: float
    deviation: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """``a`` against ``b`` on the same songs: median of a - b, Wilcoxon's p, and p after Holm's correction."""

    a: str
    b: str
    what: str
    count: int
    difference: float
    p: float
    p_holm: float


def summarize(values: Sequence[float | None], seed: int = 0) -> Summary | None:
    """Of what is a finite number; None when nothing is. The same values give the same interval."""
    kept = np.array([value for value in values if value is not None and np.isfinite(value)], np.float64)
    if not kept.size:
        return None
    draws = np.random.default_rng(seed).integers(kept.size, size=(RESAMPLES, kept.size))
    low, high = np.percentile(kept[draws].mean(1), [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    deviation = float(kept.std(ddof=1)) if kept.size > 1 else 0.0
    return Summary(kept.size, float(kept.mean()), deviation, float(np.median(kept)), float(low), float(high))


def compare(scores: Mapping[str, Mapping[str, Sequence[float | None]]]) -> list[Comparison]:
    """Every two systems on every quantity: paired Wilcoxon signed-rank tests, two-sided, Holm over all of them.

    ``scores[system][what]`` has one value a song, the same songs in the same order; None where it has none, which
    leaves the song out of that test. Pairs with fewer than two songs are not tested.
    """
    found: list[Comparison] = []
    for a, b in combinations(scores, 2):
        for what in scores[a]:
            if what not in scores[b]:
                continue
            pairs = [
                x - y
                for x, y in zip(scores[a][what], scores[b][what], strict=True)
                if x is not None and y is not None and np.isfinite(x - y)
            ]
            if len(pairs) >= _MIN_PAIRS:
                p = signed_rank(pairs)
                found.append(Comparison(a, b, what, len(pairs), float(np.median(pairs)), p, p))
    corrected = holm([test.p for test in found])
    return [
        Comparison(test.a, test.b, test.what, test.count, test.difference, test.p, p)
        for test, p in zip(found, corrected, strict=True)
    ]


def signed_rank(differences: Sequence[float]) -> float:
    """p of the paired Wilcoxon signed-rank test, two-sided; 1 where nothing differs."""
    return float(tuple(wilcoxon(differences))[1]) if np.any(differences) else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: what controls the chance of one false finding among all."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = worst
    return [float(value) for value in corrected]
