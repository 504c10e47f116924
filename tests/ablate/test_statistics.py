"""Differences against what they are defined by; summaries and Holm's correction are those of the evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from streamsep.ablate.statistics import adjust, difference


def test_songs_without_a_value_do_not_count() -> None:
    gap = difference([2.0, None, 5.0, 1.0], [1.0, 1.0, 3.0, None])
    assert gap is not None and (gap.mean, gap.songs) == (1.5, 2)
    assert gap.deviation == pytest.approx(0.5**0.5)
    assert difference([None, 1.0], [1.0, 2.0]) is None


def test_a_difference_has_the_p_of_its_pairs() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=30)
    variant = base + 0.5 + 0.3 * rng.normal(size=30)
    gap = difference(variant.tolist(), base.tolist())
    assert gap is not None and gap.p == pytest.approx(wilcoxon(variant - base).pvalue) and gap.p < 1e-4
    same = difference([1.0, 2.0], [1.0, 2.0])
    assert same is not None and same.p == 1.0
    alone, besides = adjust([gap])[0], adjust([gap, same])[0]
    assert alone.adjusted == gap.p and besides.adjusted == pytest.approx(2 * gap.p)
