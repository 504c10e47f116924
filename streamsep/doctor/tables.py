"""Models and findings as tables to read. Knows rich; finds out nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamsep.config import STEMS
from streamsep.doctor.models import ShippedModel, headline


def print_models(console: Console, models: Sequence[ShippedModel]) -> None:
    table = Table()
    table.add_column("model", no_wrap=True)
    for name in ("size", "parameters", "licence"):
        table.add_column(name)
    for stem in (*STEMS, "mean"):
        table.add_column(stem, justify="right")
    for model in models:
        gains = headline(model)
        cells = ["-" if not gains or gains[stem] is None else f"{gains[stem]:+.1f}" for stem in (*STEMS, "mean")]
        table.add_row(
            escape(model.name), f"{model.bytes / 1e6:.1f} MB", f"{model.parameters / 1e6:.1f} M", model.licence, *cells
        )
    console.print(table)
    console.print(
        "Improvement of SI-SDR over the mixture in dB at lookahead 0, median over active windows of composed test "
        "songs. Each model's README.md has its training data, scores and limits.",
        style="dim",
    )


def print_findings(console: Console, report: dict[str, Any]) -> None:
    _print_environment(console, report["environment"])
    _print_devices(console, report["sound"])
    _print_kernels(console, report["kernels"])
    _print_speed(console, report["speed"])


def _print_environment(console: Console, found: dict[str, Any]) -> None:
    cpu, cuda = found["cpu"], found["cuda"]
    table = Table(title="environment", title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items())
    table.add_row("python", f"{found['python']} on {escape(found['platform'])}")
    table.add_row("packages", packages)
    table.add_row("processor", f"{escape(cpu['name'])}, {cpu['usable_cores']} of {cpu['cores']} cores usable")
    table.add_row("instructions", f"{', '.join(cpu['features']) or 'unknown'}; torch uses {cpu['torch_uses']}")
    table.add_row("threads, memory", f"torch uses {found['threads']}; {found['memory_gb']:.1f} GB")
    devices = ", ".join(f"{escape(device['name'])} ({device['memory_gb']} GB)" for device in cuda["devices"])
    table.add_row("cuda", devices or f"not available: {cuda['reason']}")
    console.print(table)


def _print_devices(console: Console, sound: dict[str, Any]) -> None:
    if sound["problem"]:
        console.print(f"[bold]sound devices[/bold]: {escape(sound['problem'])}")
        return
    table = Table(title="sound devices", title_justify="left", title_style="bold")
    for name in ("index", "name", "in", "out", "rate"):
        table.add_column(name)
    for device in sound["devices"]:
        table.add_row(
            str(device["index"]),
            escape(device["name"]),
            str(device["inputs"]),
            str(device["outputs"]),
            str(device["rate"]),
        )
    console.print(table)


def _print_kernels(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    table = Table(title="kernels", title_justify="left", title_style="bold")
    for name in ("op", "backend", "devices", "state"):
        table.add_column(name)
    for row in rows:
        state = "chosen" if row["used"] else "available"
        if row["problem"]:
            state = f"cannot be loaded: {escape(row['problem'])}"
        table.add_row(row["op"], row["backend"], ", ".join(row["devices"]), state, style="bold" if row["used"] else "")
    console.print(table)


def _print_speed(console: Console, speed: dict[str, Any] | None) -> None:
    if speed is None:
        return
    if "problem" in speed:
        console.print(f"[bold]speed[/bold]: {escape(speed['problem'])}")
        return
    title = f"speed of '{escape(speed['model'])}' on {speed['device']}, one stream, frames of 40 ms"
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("threads", "median", "99 %", "longest", "real-time factor", ""):
        table.add_column(name, justify="right")
    for row in speed["rows"]:
        verdict = "real time" if row["p99_ms"] < 40 else "too slow for live sound"
        times = (f"{row[key]:.1f} ms" for key in ("median_ms", "p99_ms", "max_ms"))
        table.add_row(str(row["threads"]), *times, f"{row['real_time_factor']:.2f}", verdict)
    console.print(table)
