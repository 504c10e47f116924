"""Summaries and tests of small sets, against numbers worked out by hand or by scipy."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.evaluate.statistics import compare, holm, signed_rank, summarize


def test_summary_by_hand() -> None:
    found = summarize([1.0, 2.0, None, 6.0, float("nan")])
    assert found is not None
    assert (found.count, found.mean, found.median) == (3, 3.0, 2.0)
    assert found.deviation == pytest.approx(np.sqrt(7)) and found.low < 3 < found.high
    assert summarize([None]) is None
    one = summarize([4.0])
    assert one is not None and (one.low, one.high, one.deviation) == (4.0, 4.0, 0.0)


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        found = summarize(list(rng.normal(3, 2, 40)))
        assert found is not None
        hits += found.low < 3 < found.high
    assert 0.88 < hits / 200 <= 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_comparison_is_paired_and_corrected() -> None:
    rng = np.random.default_rng(0)
    base = list(rng.normal(0, 10, 30))
    better = [value + 0.5 + 0.1 * rng.standard_normal() for value in base]
    other = list(rng.normal(0, 10, 30))
    found = {(test.a, test.b): test for test in compare({"a": {"v": better}, "b": {"v": base}, "c": {"v": other}})}
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert found["a", "b"].p == pytest.approx(2 / 2**30) and found["a", "b"].difference == pytest.approx(0.5, abs=0.1)
    assert found["a", "b"].p_holm == pytest.approx(6 / 2**30) and found["b", "c"].p > 0.05


def test_missing_songs_are_left_out_of_a_pair() -> None:
    (test,) = compare({"a": {"v": [1.0, None, 2.0, 3.0]}, "b": {"v": [0.0, 5.0, None, 1.0]}})
    assert test.count == 2 and test.difference == pytest.approx(1.5)
    assert compare({"a": {"v": [1.0]}, "b": {"v": [0.0]}}) == []
    (same,) = compare({"a": {"v": [1.0, 2.0]}, "b": {"v": [1.0, 2.0]}})
    assert same.p == 1.0


def test_signed_ranks_by_hand() -> None:
    assert signed_rank([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 2**5)  # one of 32 signs, and its mirror
    assert signed_rank([0.0, 0.0]) == 1.0
