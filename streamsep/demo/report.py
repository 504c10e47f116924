"""What the demo found out: scores of the stems, timing and latency, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamsep.config import STEMS
from streamsep.evaluate.masks import ideal_stems
from streamsep.evaluate.metrics import Sound
from streamsep.evaluate.scores import IDEAL_BINS, MIXTURE, Row, SongScorer, song_summary
from streamsep.evaluate.songs import TrueStems

_ESTIMATED = "fused"


def measure(song: TrueStems, estimated: Mapping[str, Sound]) -> dict[str, Any]:
    """SI-SDR of mixture, estimate and ideal mask, a stem; and how well the estimated stems sum to the mixture.

    ``estimated`` holds each stem as [2, n] at 48 kHz, aligned with ``song``.
    """
    scorer = SongScorer(song)
    scorer.add(Row(_ESTIMATED), estimated)
    scorer.add(Row(IDEAL_BINS), dict(zip(STEMS, ideal_stems(song.stems), strict=True)))
    summary = song_summary(scorer.scores)
    rows = {row["estimate"]: row for row in summary["rows"]}
    total = np.sum([estimated[stem] for stem in STEMS], axis=0, dtype=np.float64)
    error = float(np.max(np.abs(total - song.mixture)))
    return {
        "si_sdr": {
            stem: {
                "mixture": rows[MIXTURE]["si_sdr"][stem],
                "estimated": rows[_ESTIMATED]["si_sdr"][stem],
                "improvement": rows[_ESTIMATED]["improvement"][stem],
                "ideal_mask": rows[IDEAL_BINS]["si_sdr"][stem],
                "active_seconds": summary["active_windows"].get(stem),
                "absent_db": rows[_ESTIMATED]["absent_db"].get(stem),
            }
            for stem in (*STEMS, "mean")
        },
        "sum_error_dbfs": round(20 * float(np.log10(max(error, 1e-10))), 1),
    }


def captions(report: Mapping[str, Any]) -> dict[str, str]:
    """A line for each stem's picture."""
    lines: dict[str, str] = {}
    for stem in STEMS:
        row = report["si_sdr"][stem]
        if row["estimated"] is not None:
            lines[stem] = f"{row['estimated']:.1f} dB, mixture {row['mixture']:.1f} dB"
        elif row["absent_db"] is not None:
            lines[stem] = f"not in this song; {max(-99.0, row['absent_db']):.0f} dB"
    return lines


def print_report(console: Console, report: Mapping[str, Any], folder: Path) -> None:
    timing = report["timing"]
    table = Table(title="SI-SDR in dB, median over active one-second windows", title_justify="left", title_style="bold")
    for name in ("stem", "mixture", "separated", "improvement", "ideal mask"):
        table.add_column(name, justify="left" if name == "stem" else "right")
    for stem in (*STEMS, "mean"):
        row = report["si_sdr"][stem]
        cells = (_decibels(row["mixture"]), _decibels(row["estimated"]), _decibels(row["improvement"], "+"))
        table.add_row(stem, *cells, _decibels(row["ideal_mask"]), style="bold" if stem == "mean" else "")
    console.print(table)
    console.print(
        f"latency {report['latency_ms']:.1f} ms ({report['latency_samples']} samples at {report['rate']} Hz), "
        f"lookahead {report['lookahead']}"
    )
    console.print(
        f"frame of 40 ms: median {timing['median_ms']:.1f} ms, 99 % {timing['p99_ms']:.1f} ms, "
        f"longest {timing['max_ms']:.1f} ms; real-time factor {timing['real_time_factor']:.2f}"
        + (f"; {timing['late_frames']} of {timing['frames']} frames late" if timing["late_frames"] else "")
    )
    console.print(f"the stems sum to the mixture: largest difference {report['sum_error_dbfs']:.0f} dBFS")
    console.print(f"stems, true stems and picture.png are in {escape(str(folder))}")


def _decibels(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.1f}"
