"""Scores as tables to read. Knows rich; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamsep.config import STEMS
from streamsep.evaluate.labels import MEASURES, row_label
from streamsep.evaluate.scores import Row

_LEFT: dict[str, Any] = {"title_justify": "left", "title_style": "bold"}


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
    if count > 1:
        songs = [{**row, **row["median_song"], "absent_db": {}} for row in report["total"]]
        console.print(_table("median over songs of each song's median", songs, report["latency_ms"]))
    console.print(
        "SI-SDR in dB, median over active one-second windows; in brackets the improvement over the mixture. Active: "
        "above -50 dBFS and above the mixture's level minus 30 dB. A stem that is not in a song: (silence) and the "
        "level of its estimate below the mixture.",
        style="dim",
    )


def _table(title: str, rows: Sequence[dict[str, Any]], latency_ms: dict[str, float]) -> Table:
    table = Table(title=title, **_LEFT)
    _estimate_column(table)
    table.add_column("latency", justify="right")
    for stem in (*STEMS, "mean"):
        table.add_column(stem, justify="right")
    previous: object = None
    for row in rows:
        if row["lookahead"] != previous:
            table.add_section()
        previous = row["lookahead"]
        known = row["lookahead"] is not None
        latency = f"{latency_ms[str(row['lookahead'])]:.0f} ms" if known else ""
        cells = [_cell(row, stem) for stem in (*STEMS, "mean")]
        style = "bold" if row["estimate"] == "fused" else ""
        label = row_label(Row(row["estimate"], row["lookahead"]))
        table.add_row(escape(label), latency, *cells, style=style)
    return table


def _estimate_column(table: Table) -> None:
    """As narrow as the longest word; a path, which is one, goes on in the next line."""
    table.add_column("estimate", min_width=10, overflow="fold")


def _cell(row: dict[str, Any], stem: str) -> str:
    value, gain, silent = row["si_sdr"][stem], row["improvement"][stem], row["absent_db"].get(stem)
    parts: list[str] = []
    if value is not None:
        parts.append(f"{value:.1f}" + ("" if row["estimate"] == "mixture" else f" ({gain:+.1f})"))
    if silent is not None and row["estimate"] != "mixture":
        parts.append(f"silence {silent:.0f}")
    return ", ".join(parts) or "-"


def print_measures(console: Console, report: dict[str, Any]) -> None:
    """The measures beside SI-SDR, where any were taken: means over songs of the mean over the stems of a song."""
    rows = report["summaries"]
    shown = [measure for measure in MEASURES[2:] if any(measure.key in row["measures"] for row in rows)]
    if not shown:
        return
    fit = max(1, (console.width - 26) // 15)
    for start in range(0, len(shown), fit):
        table = Table(title="" if start else "other measures: mean over songs of the mean over stems", **_LEFT)
        _estimate_column(table)
        for measure in shown[start : start + fit]:
            table.add_column(f"{measure.name}, {measure.unit}", justify="right")
        for row in rows:
            found = [row["measures"].get(measure.key) for measure in shown[start : start + fit]]
            cells = ["-" if one is None else f"{one['mean']['mean']:.2f}" for one in found]
            table.add_row(escape(row["label"]), *cells)
        console.print(table)


def print_robustness(console: Console, checks: dict[str, Any]) -> None:
    """What :func:`streamsep.evaluate.robustness.measure_robustness` found."""
    table = Table(title=f"robustness, {checks['songs']} songs", **_LEFT)
    for name in ("", "measured", "wanted", "holds"):
        table.add_column(name)
    for row in checks["rows"]:
        table.add_row(row["what"], row["figure"], row["wanted"], "yes" if row["holds"] else "no")
    console.print(table)
