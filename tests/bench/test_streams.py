"""The benchmark of many streams: what it counts, and that it finds the most that are in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import streams
from tests.bench.streams import Ticks, main, most


def test_times_are_given_for_every_number_of_streams(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(model), "--streams", "1", "3", "--ticks", "4", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["streams"] for row in rows] == [1, 3]
    assert all(0 < row["p50"] <= row["p99"] <= row["worst"] and row["device"] > 0 for row in rows)


def test_what_a_frame_launches_is_listed_for_every_number_of_streams(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", str(model), "--streams", "1", "2", "--ticks", "2", "--kernels"]) == 0
    first, second = capsys.readouterr().out.split("a frame of ")[1:]
    assert first.startswith("1 streams") and second.startswith("2 streams")
    assert "aten::" in first and "100 %  all" in second


@pytest.mark.parametrize("fit", [5, 64, 700, 1_000_000])
def test_the_most_streams_are_found(monkeypatch: pytest.MonkeyPatch, fit: int) -> None:
    def measured(_: object, count: int, ticks: int) -> Ticks:
        late = 39.0 if count <= fit else 41.0
        return Ticks(count, ticks, 1.0, 1.0, late, late)

    monkeypatch.setattr(streams, "measure", measured)
    found = max(row.streams for row in most(None, 1) if row.p99 < streams.FRAME_MS)  # type: ignore[arg-type]
    assert found <= fit and (found >= fit * 15 // 16 - 1 or found == streams.MOST)
