"""A profile as tables to read. Knows rich; measures nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_QUANTILES = ("p50", "p95", "p99", "max")


def print_profile(console: Console, report: dict[str, Any]) -> None:
    """Stages, start, remarks, and the comparison when there is one."""
    _print_stages(console, report)
    if report["start"]:
        _print_start(console, report["start"])
    for line in report["remarks"]:
        console.print(f"[bold]long:[/bold] {escape(line)}")
    if report.get("compared"):
        _print_comparison(console, report["compared"])


def _print_stages(console: Console, report: dict[str, Any]) -> None:
    pace = "paced in real time" if report["paced"] else "as fast as it goes"
    console.print(
        f"[bold]'{escape(report['model'])}'[/bold] on {escape(report['machine']['processor'])}, "
        f"{report['threads']} thread(s): {report['frames']} frames {pace}, {report['render']} render, "
        f"lookahead {report['lookahead']}, {report['rate']} Hz"
    )
    table = Table(title="milliseconds of a frame's 40", title_justify="left", title_style="bold")
    table.add_column("stage", no_wrap=True)
    for name in (*_QUANTILES, "share", "floor", "times floor"):
        table.add_column(name, justify="right")
    for stage, found in report["stages"].items():
        floor = report["floors"].get(stage)
        cells = [f"{found[name]:.2f}" for name in _QUANTILES]
        floors = ("", "") if floor is None else (f"{floor['floor_ms']:.2f}", f"{floor['times']:.1f}")
        table.add_row(stage, *cells, f"{100 * found['share']:.0f} %", *floors)
    table.add_section()
    table.add_row("total", *(f"{report['total'][name]:.2f}" for name in _QUANTILES), "100 %", "", "", style="bold")
    if report["heard_to_stem"]:
        cells = [f"{report['heard_to_stem'][name]:.2f}" for name in _QUANTILES]
        table.add_row("heard to stem", *cells, "", "", "")
    console.print(table)
    steps, depth = report["depth_steps"], report["stages"]["depth"]["p50"]
    console.print(f"depth: {steps} dependent steps a frame, {depth / steps:.2f} ms each (of the median)", style="dim")
    console.print(
        f"Real-time factor {report['real_time_factor']:.3f}, {report['late_frames']} frames above 40 ms. The model's "
        f"own latency is {report['latency_ms']:.1f} ms. Floor: the stage's weights read once at "
        f"{report['floors']['bandwidth_gb_s']:.1f} GB/s, measured.",
        style="dim",
    )


def _print_start(console: Console, start: dict[str, Any]) -> None:
    low, high = start["first_stem_range_ms"]
    console.print(
        f"[bold]start[/bold]: first stem {start['first_stem_ms']:.0f} ms after launch ({low:.0f} to {high:.0f}, "
        f"{start['launches']} launches); resident {start['resident_mb']:.0f} MB, at most {start['peak_mb']:.0f} MB"
    )
    console.print("  " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in start["phases_ms"].items()), style="dim")


def _print_comparison(console: Console, found: dict[str, Any]) -> None:
    title = f"change since {found['date']}; ms, ± its noise; bold: more than twice the noise"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for name in ("p50 before", "p50 now", "change", "p99 before", "p99 now", "change"):
        table.add_column(name, justify="right")
    for name, row in found["rows"].items():
        cells: list[str] = []
        for quantile in ("p50", "p99"):
            one = row[quantile]
            cells += ["", "", ""] if one is None else [f"{one['old']:.2f}", f"{one['new']:.2f}", _change(one)]
        table.add_row(name, *cells)
    console.print(table)
    if found["start"]:
        start = found["start"]
        console.print(f"First stem after {start['old_ms']:.0f} ms before, {start['new_ms']:.0f} ms now.")
    if found["differs"]:
        console.print(f"Not the same in both: {', '.join(found['differs'])}.")


def _change(one: dict[str, Any]) -> str:
    share = "" if one["ratio"] != one["ratio"] else f" ({100 * (one['ratio'] - 1):+.0f} %)"
    text = f"{one['change']:+.2f} ± {one['noise']:.2f}{share}"
    return f"[bold]{text}[/bold]" if one["sure"] else text
