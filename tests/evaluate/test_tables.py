"""Tables are whole however narrow the terminal: nothing that was measured is cut away."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from streamsep.config import STEMS
from streamsep.evaluate.tables import print_measures, print_report


def row(estimate: str, lookahead: int | None, first: float) -> dict[str, Any]:
    values = {stem: first + index for index, stem in enumerate((*STEMS, "mean"))}
    gains = {stem: value + 10 for stem, value in values.items()}
    return {
        "estimate": estimate,
        "lookahead": lookahead,
        "si_sdr": values,
        "improvement": gains,
        "absent_db": {"bass": -41.0},
        "median_song": {"si_sdr": values, "improvement": gains},
    }


def report() -> dict[str, Any]:
    rows = [row("mixture", None, -41.5), row("ideal_bins", None, 11.5), row("fused", -1, 21.5)]
    summaries = [
        {"label": "mixture as it is", "measures": {"lsd": {"mean": {"mean": 17.71}}}},
        {"label": "fused (default), k = -1", "measures": {"lsd": {"mean": {"mean": 5.83}}, "visqol": None}},
    ]
    about = {"songs_measured": 2, "seconds_measured": 24.0, "latency_ms": {"-1": 20.0}}
    return {**about, "songs": [], "total": rows, "summaries": summaries}


@pytest.mark.parametrize("width", [80, 150])
def test_every_figure_is_there(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_report(console, report(), brief=True)
    print_measures(console, report())
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "…" not in text and max(map(len, text.splitlines())) <= width
    found = text.split()
    wanted = ["-41.5", "-40.5", "11.5", "(+21.5)", "21.5", "(+31.5)", "25.5", "(+35.5)", "20", "961", "17.71", "5.83"]
    assert [each for each in wanted if each not in found] == []
