"""Variants against a base, song by song. Knows numbers; knows nothing of what they measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamsep.evaluate.statistics import compare, holm, summarize

Value = float | None


@dataclass(frozen=True)
class Difference:
    """Of a variant to the base, song by song: mean, standard deviation, and the p of a two-sided Wilcoxon signed-rank
    test; ``adjusted`` by Holm among all tests of a report."""

    mean: float
    deviation: float
    songs: int
    p: float
    adjusted: float


def difference(variant: Sequence[Value], base: Sequence[Value]) -> Difference | None:
    """``variant`` minus ``base`` over the songs that both have; None with fewer than two. Not adjusted yet."""
    gaps = [None if a is None or b is None else a - b for a, b in zip(variant, base, strict=True)]
    found, tests = summarize(gaps), compare({"variant": {"": variant}, "base": {"": base}})
    if found is None or not tests:
        return None
    return Difference(found.mean, found.deviation, found.count, tests[0].p, tests[0].p)


def adjust(differences: Sequence[Difference]) -> list[Difference]:
    """With Holm's correction over all of them."""
    adjusted = holm([each.p for each in differences])
    return [replace(each, adjusted=p) for each, p in zip(differences, adjusted, strict=True)]
