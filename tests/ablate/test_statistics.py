"""Statistics against what they are defined by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from streamsep.ablate.statistics import difference, holm, summary


def test_songs_without_a_value_do_not_count() -> None:
    found = summary([1.0, None, 3.0])
    assert found is not None and (found.mean, found.songs) == (2.0, 2)
    assert found.deviation == pytest.approx(2**0.5)
    assert summary([None]) is None
    gap = difference([2.0, None, 5.0, 1.0], [1.0, 1.0, 3.0, None])
    assert gap is not None and (gap.mean, gap.songs) == (1.5, 2)
    assert difference([None], [1.0]) is None


def test_a_difference_has_the_p_of_its_pairs() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=30)
    variant = base + 0.5 + 0.3 * rng.normal(size=30)
    gap = difference(variant.tolist(), base.tolist())
    assert gap is not None and gap.p == pytest.approx(wilcoxon(variant - base).pvalue) and gap.p < 1e-4
    same = difference([1.0, 2.0], [1.0, 2.0])
    assert same is not None and same.p == 1.0


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
