"""Differences from reference vectors as a table to read. Knows rich; finds out nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamsep.codec.hcodec2.vectors import Difference


def print_differences(found: Sequence[Difference], tolerance: float) -> None:
    console = Console(highlight=False)
    table = Table()
    for name in ("case", "stage"):
        table.add_column(name, overflow="fold")
    table.add_column("largest difference", justify="right")
    table.add_column("")
    for each in found:
        value = f"{each.value:.0f} of {each.total} codes" if each.codes else f"{each.value:.1e}"
        verdict, style = ("", "") if each.within(tolerance) else ("BEYOND", "bold")
        table.add_row(escape(each.case), escape(each.stage), value, verdict, style=style)
    console.print(table)
    beyond = sum(not each.within(tolerance) for each in found)
    worst = max((each.value for each in found if not each.codes), default=0.0)
    verdict = "all within" if not beyond else f"{beyond} of {len(found)} stages beyond"
    console.print(f"{verdict} {tolerance:g}; largest difference {worst:.1e}; {len(found)} stages.")
