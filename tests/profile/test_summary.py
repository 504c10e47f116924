"""Percentiles, their noise, and what counts as a change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from streamsep.errors import OptionError
from streamsep.profile.compare import compare, read_report
from streamsep.profile.summary import bootstrap, change, summary


def test_summary_of_known_times() -> None:
    found = summary(np.arange(1, 1_001, dtype=float))
    assert (found["mean"], found["p50"], found["max"]) == (500.5, 500.5, 1_000)
    assert found["p99"] == pytest.approx(990.01)


def test_the_noise_of_a_median_is_that_of_repeated_runs() -> None:
    rng = np.random.default_rng(1)
    runs = rng.gamma(4, 3, (300, 1_000))
    assert bootstrap(runs[0], 50) == pytest.approx(np.median(runs, axis=1).std(), rel=0.35)


def test_slow_disturbances_make_more_noise_than_quick_ones() -> None:
    rng = np.random.default_rng(2)
    slow = np.repeat(rng.gamma(4, 3, 40), 25)
    assert bootstrap(slow, 50) > 2 * bootstrap(rng.permutation(slow), 50)


def test_few_frames_have_no_known_noise() -> None:
    assert bootstrap(np.ones(30), 50) == 0


def test_a_change_within_the_noise_is_not_sure() -> None:
    old = {"p50": 10.0, "p50_noise": 0.3}
    small, large = ({"p50": value, "p50_noise": 0.4} for value in (10.8, 11.2))
    assert change(old, small, "p50") == {
        "old": 10.0,
        "new": 10.8,
        "change": 0.8,
        "ratio": 1.08,
        "noise": 0.5,
        "sure": False,
    }
    found = change(old, large, "p50")
    assert found is not None
    assert found["sure"]
    assert change(old, large, "p99") is None


def test_reports_are_compared_stage_by_stage(tmp_path: Path) -> None:
    times = np.random.default_rng(3).gamma(9, 1, 500)
    old = _report(times, threads=1)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    found = compare(read_report(path), _report(1.5 * times, threads=2))
    assert found["differs"] == ["threads"]
    assert found["rows"]["depth"]["p50"]["ratio"] == pytest.approx(1.5, rel=0.01)
    assert found["rows"]["total"]["p50"]["sure"]
    assert not compare(old, old)["rows"]["total"]["p99"]["sure"]


@pytest.mark.parametrize("text", ["", "[]", '{"total": {}}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(OptionError, match="is no report"):
        read_report(path)
    with pytest.raises(OptionError, match="cannot be read"):
        read_report(tmp_path / "missing.json")


def _report(times: np.ndarray, threads: int) -> dict:
    return {"threads": threads, "total": summary(times), "stages": {"depth": summary(times / 2)}}
