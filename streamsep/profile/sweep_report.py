"""A sweep as a table and as a picture: latency to the right, separation upwards. Knows rich and matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from streamsep.config import STEMS
from streamsep.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = ("#3b6ea5", "#c2703d", "#4d8a5c", "#8a5a9e")
_PANELS = ("mean", *STEMS)
_LOWEST = -6.0  # dB: what is worse stands here, pointing down, so that it does not flatten all others


def print_sweep(console: Console, report: dict[str, Any]) -> None:
    table = Table(
        title=f"SI-SDR in dB, in brackets the improvement; {len(report['songs'])} songs, {report['seconds']:.0f} s",
        title_justify="left",
        title_style="bold",
    )
    for name in ("model", "render", "lookahead"):
        table.add_column(name)
    for name in ("own ms", "compute ms", "total ms", *STEMS, "mean"):
        table.add_column(name, justify="right", no_wrap=True)
    before = None
    for point in report["points"]:
        if before not in (None, (point["model"], point["render"])):
            table.add_section()
        before = point["model"], point["render"]
        times = [f"{point[name]:.1f}" for name in ("algorithmic_ms", "compute_ms", "total_ms")]
        scores = [_score(point, stem) for stem in (*STEMS, "mean")]
        table.add_row(point["model"], point["render"], str(point["lookahead"]), *times, *scores)
    console.print(table)
    console.print(
        "Own latency: a click in to the same click out, the longest wait of all places in a frame. Compute: the median "
        "of a frame. Without the sound card's buffers.",
        style="dim",
    )


def draw_sweep(path: Path, report: dict[str, Any]) -> None:
    """A panel for the mean and for every stem; a line a model and render. Raises OutputError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    lines = list(dict.fromkeys((point["model"], point["render"]) for point in report["points"]))
    for panel, stem in zip(panels, _PANELS, strict=True):
        for color, line in zip(_COLORS * len(lines), lines, strict=False):
            points = [point for point in report["points"] if (point["model"], point["render"]) == line]
            _line(panel, sorted(points, key=lambda point: point["total_ms"]), stem, color, ", ".join(line))
        panel.axhline(0, color="#777777", linewidth=0.8)
        panel.set_title(stem, loc="left", fontsize=10.5, fontweight="bold" if stem == "mean" else "normal")
        panel.set_xlim(left=0)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0].set_ylabel("improvement of SI-SDR over the mixture / dB")
    figure.supxlabel("from sound to stem: own latency (by impulse) and computing / ms", fontsize=10)
    figure.suptitle(
        f"What waiting brings: {len(report['songs'])} songs; numbers are frames of lookahead, "
        f"▼ is {_LOWEST:.0f} dB or worse",
        x=0.01,
        ha="left",
        fontsize=12.5,
        fontweight="bold",
    )
    panels[0].legend(frameon=False, fontsize=9, loc="best")
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.") from error


def _line(axes: Axes, points: list[dict[str, Any]], stem: str, color: str, label: str) -> None:
    known = [point for point in points if point.get("improvement", {}).get(stem) is not None]
    x = [point["total_ms"] for point in known]
    y = [max(_LOWEST, point["improvement"][stem]) for point in known]
    axes.plot(x, y, marker="v" if y and max(y) == _LOWEST else "o", markersize=4.5, color=color, label=label)
    for point, at, height in zip(known, x, y, strict=True):
        place = (0, 6)
        axes.annotate(str(point["lookahead"]), (at, height), place, textcoords="offset points", ha="center", fontsize=8)


def _score(point: dict[str, Any], stem: str) -> str:
    value = point.get("si_sdr", {}).get(stem)
    return "-" if value is None else f"{value:.1f} ({point['improvement'][stem]:+.1f})"
