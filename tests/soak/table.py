"""A table and a verdict, the same for every soak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Demand:
    """Something that must hold."""

    text: str
    holds: bool


def report(title: str, rows: Sequence[Mapping[str, object]], demands: Sequence[Demand]) -> None:
    """Print; exit with 1 when a demand does not hold."""
    console = Console(highlight=False, width=120)
    table = Table(*[str(name) for name in rows[0]], title=title, box=None)
    for row in rows:
        table.add_row(*[f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()])
    console.print(table)
    for demand in demands:
        console.print(("holds    " if demand.holds else "FAILS    ") + demand.text)
    if not all(demand.holds for demand in demands):
        raise typer.Exit(1)
