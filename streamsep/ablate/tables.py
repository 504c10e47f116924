"""The report as a table to read. Knows rich; measures nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from streamsep.config import STEMS

_NOTE = (
    "SI-SDR over the mixture in dB: mean over songs of the median over active seconds, ± standard deviation over songs;"
    " 'ceiling' is that of masks from the true stems' tokens. Differences to 'paper' song by song; p of a Wilcoxon"
    " signed-rank test, Holm over all {tests} tests. Tokens where a stem sounds: share told right, free running, and"
    " nats an acoustic token given the true past. One run a variant: the tests tell songs apart, not seeds."
)


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Print what ``report`` gave."""
    console.print(_separation(report))
    console.print(_comparison(report))
    for row in report["variants"]:
        console.print(f"{row['variant']}: {row['label']}")
    console.print(_NOTE.format(tests=report["tests"]), style="dim")


def _separation(report: dict[str, Any]) -> Table:
    table = _table(f"separation, {report['songs']} songs", *STEMS, "mean", "ceiling")
    for row in report["variants"]:
        stems = (_number(row["improvement"][stem]) for stem in STEMS)
        table.add_row(row["variant"], *stems, _number(row["improvement"]["mean"], True), _number(row["true_tokens"]))
    return table


def _comparison(report: dict[str, Any]) -> Table:
    table = _table("difference of the mean, and tokens", "difference", "p", "semantic", "acoustic", "nats")
    for row in report["variants"]:
        gap = row["difference"].get("mean")
        table.add_row(
            row["variant"],
            "" if gap is None else f"{gap['mean']:+.2f} ± {gap['deviation']:.2f}",
            "" if gap is None else _chance(gap["adjusted"]),
            _percent(row["accuracy"]["semantic"]),
            _percent(row["accuracy"]["acoustic"]),
            _number(row["nll"]["acoustic"]),
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("variant", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _number(value: dict[str, Any] | None, spread: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value['mean']:.2f}" + (f" ± {value['deviation']:.2f}" if spread else "")


def _percent(value: dict[str, Any] | None) -> str:
    return "-" if value is None else f"{100 * value['mean']:.1f} %"


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
