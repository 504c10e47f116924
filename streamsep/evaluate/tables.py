"""Scores as tables to read. Knows rich; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamsep.config import STEMS

_LABELS = {
    "mixture": "mixture as it is",
    "ideal_bins": "ideal mask, 961 bins",
    "ideal_bands": "ideal mask, 120 bands",
    "hard": "hard tokens",
    "soft": "soft latents",
    "guide": "guide head",
    "fused": "fused (default)",
}


def print_report(console: Console, report: dict[str, Any], brief: bool = False) -> None:
    """Print what ``Evaluation.to_dict`` gave: songs first unless ``brief``, the total last."""
    for song in () if brief else report.get("songs", ()):
        title = f"{escape(song['song'])}, {song['seconds']:.0f} s"
        console.print(_table(title, song["rows"], report["latency_ms"]))
    count = report["songs_measured"]
    if not count:
        return
    if count > 1 or brief:
        title = f"all {count} songs, {report['seconds_measured']:.0f} s: median over all active windows"
        console.print(_table(title, report["total"], report["latency_ms"]))
    console.print(
        "SI-SDR in dB, median over active one-second windows; in brackets the improvement over the mixture. Active: "
        "above -50 dBFS and above the mixture's level minus 30 dB. A stem that is not in a song: (silence) and the "
        "level of its estimate below the mixture.",
        style="dim",
    )


def _table(title: str, rows: Sequence[dict[str, Any]], latency_ms: dict[str, float]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("estimate", no_wrap=True)
    table.add_column("latency", justify="right", no_wrap=True)
    for stem in (*STEMS, "mean"):
        table.add_column(stem, justify="right", no_wrap=True)
    previous: object = None
    for row in rows:
        if row["lookahead"] != previous:
            table.add_section()
        previous = row["lookahead"]
        known = row["lookahead"] is not None
        latency = f"{latency_ms[str(row['lookahead'])]:.0f} ms" if known else ""
        cells = [_cell(row, stem) for stem in (*STEMS, "mean")]
        style = "bold" if row["estimate"] == "fused" else ""
        label = _LABELS.get(row["estimate"], row["estimate"]) + (f", k = {row['lookahead']}" if known else "")
        table.add_row(label, latency, *cells, style=style)
    return table


def _cell(row: dict[str, Any], stem: str) -> str:
    value, gain, silent = row["si_sdr"][stem], row["improvement"][stem], row["absent_db"].get(stem)
    parts: list[str] = []
    if value is not None:
        parts.append(f"{value:.1f}" + ("" if row["estimate"] == "mixture" else f" ({gain:+.1f})"))
    if silent is not None and row["estimate"] != "mixture":
        parts.append(f"silence {silent:.0f}")
    return ", ".join(parts) or "-"
