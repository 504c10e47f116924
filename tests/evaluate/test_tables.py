"""Tables are whole however narrow the terminal: nothing that was measured is cut away."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from streamsep.config import STEMS
from streamsep.evaluate.labels import MEASURES
from streamsep.evaluate.tables import print_measures, print_report

_MISSING = (3, [measure.key for measure in MEASURES].index("lsd"))


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
    numbered = list(enumerate(MEASURES))
    rows = [row("mixture", None, -41.5), row("ideal_bins", None, 11.5), row("fused", -1, 21.5)]
    labels = ["mixture as it is", "fused (default), k = -1", "baseline runs/experiment-one/model, k = 0", "a [/b]"]
    labels += [f"baseline runs/experiment-two/model, k = {k}" for k in range(17)]
    summaries = [
        {"label": label, "measures": {measure.key: {"mean": {"mean": 100 + i + j / 100}} for j, measure in numbered}}
        for i, label in enumerate(labels)
    ]
    summaries[3]["measures"]["lsd"] = None
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
    wanted = ["-41.5", "-40.5", "11.5", "(+21.5)", "21.5", "(+31.5)", "25.5", "(+35.5)", "20", "961", "[/b]"]
    wanted += [f"{100 + i + j / 100:.2f}" for i in range(21) for j in range(2, len(MEASURES)) if (i, j) != _MISSING]
    assert [each for each in wanted if each not in found] == []
    letters = text.translate({ord(each): None for each in " │\n"})
    assert "experiment-one" in letters or width == 80
