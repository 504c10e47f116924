"""A profile as one picture: how long frames take, and what a frame's 40 ms are spent on. Knows matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamsep.demo.picture import headline
from streamsep.errors import OutputError
from streamsep.evaluate.timing import FRAME_MS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = NDArray[np.float64]

_BARS, _MARK, _DIM, _LATE = "#3b6ea5", "#222222", "#666666", "#b3392f"
_SLACK = "#e3ece2"


def draw(path: Path, total: Values, report: dict[str, Any]) -> None:
    """Write the picture of ``total`` [frames] ms and ``report`` to ``path`` as PNG. Raises OutputError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 5.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    frame = report["total"]
    pace = "paced in real time" if report["paced"] else "as fast as it goes"
    headline(
        figure,
        f"'{report['model']}' on {report['machine']['processor']}, {report['threads']} thread(s): "
        f"a frame of 40 ms takes {frame['p50']:.1f} ms, 99 % take less than {frame['p99']:.1f} ms "
        f"(real-time factor {report['real_time_factor']:.2f})",
        12.5,
    )
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _histogram(left, total, report, pace)
    _waterfall(right, report)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.") from error


def _histogram(axes: Axes, total: Values, report: dict[str, Any], pace: str) -> None:
    """Frames by their time; those beyond one and a half frames stand in the last bar."""
    frame, late = report["total"], report["late_frames"]
    end = 1.5 * FRAME_MS if frame["p99"] < FRAME_MS else max(1.5 * FRAME_MS, 1.2 * frame["p99"])
    axes.hist(np.minimum(total, end * 0.999), bins=np.linspace(0, end, 121).tolist(), color=_BARS)
    axes.set_yscale("log")
    axes.set_ylim(0.7, axes.get_ylim()[1] * 12)
    axes.set_xlim(0, end)
    axes.axvline(FRAME_MS, color=_LATE, linewidth=1.6)
    verdict = "none is late" if not late else f"{late} late" + (f", longest {frame['max']:.0f} ms" if late else "")
    _note(axes, FRAME_MS, 0.55, f"next frame: {verdict}", _LATE)
    for height, (name, label) in zip(
        (0.97, 0.89, 0.81), (("p50", "half"), ("p95", "95 %"), ("p99", "99 %")), strict=True
    ):
        axes.axvline(frame[name], color=_MARK, linewidth=0.9, linestyle=(0, (4, 3)))
        _note(axes, frame[name], height, f"{label}: {frame[name]:.1f} ms")
    axes.set_xlabel("computing a frame / ms")
    axes.set_ylabel("frames (logarithmic)")
    axes.set_title(f"{len(total)} frames, {pace}", loc="left", fontsize=10.5)
    _plain(axes)


def _waterfall(axes: Axes, report: dict[str, Any]) -> None:
    """Median stages one after the other along the frame's 40 ms; the thin line reaches to the stage's 99 %."""
    stages = [(name, found) for name, found in report["stages"].items() if found["p50"] >= 0.005]
    begin, labels = 0.0, []
    limit = max(1.02 * FRAME_MS, 1.02 * sum(found["p50"] for _, found in stages))
    for row, (name, found) in enumerate(stages):
        end = begin + found["p50"]
        axes.barh(row, found["p50"], left=begin, height=0.66, color=_BARS)
        axes.plot([end, min(limit, begin + found["p99"])], [row, row], color=_MARK, linewidth=1.1)
        if row + 1 < len(stages):
            axes.plot([end, end], [row, row + 1], color=_DIM, linewidth=0.7)
        labels.append(f"{name}   {found['p50']:.2f} ms   {100 * found['share']:2.0f} %")
        begin = end
    if begin < FRAME_MS:
        row, free = len(stages), FRAME_MS - begin
        labels.append("free")
        axes.barh(row, free, left=begin, height=0.66, color=_SLACK, edgecolor="#9db49a", linewidth=0.8)
        axes.text((begin + FRAME_MS) / 2, row, f"{free:.1f} ms", va="center", ha="center", fontsize=9)
    axes.axvline(FRAME_MS, color=_LATE, linewidth=1.6)
    axes.set_xlim(0, limit)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("time since the frame was heard / ms")
    axes.set_title("where the frame's 40 ms go: medians; thin lines reach to 99 %", loc="left", fontsize=10.5)
    _plain(axes)


def _note(axes: Axes, x: float, height: float, text: str, color: str = _MARK) -> None:
    left = x < 0.7 * axes.get_xlim()[1]
    axes.text(
        x,
        height,
        f" {text}" if left else f"{text} ",
        transform=axes.get_xaxis_transform(),
        ha="left" if left else "right",
        va="top",
        fontsize=9,
        color=color,
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8},
    )


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=9, color=_DIM)
