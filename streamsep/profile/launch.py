"""From the launch of a process to its first stem, in processes of their own. Knows how to start one; ``first_stem`` is
what runs there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamsep.errors import StreamsepError
from streamsep.profile.tracer import Span


@dataclass(frozen=True)
class Launch:
    """One start: ``phases`` in milliseconds in their order, their sum is the time to the first stem. ``resident`` and
    ``peak`` in MB after ten seconds of sound.
    """

    phases: dict[str, float]
    resident: float
    peak: float
    process: int
    spans: list[Span]

    @property
    def first_stem(self) -> float:
        return sum(self.phases.values())


def launch(model: str, device: str, lookahead: int, render: str) -> Launch:
    """Start a process that imports, loads and separates. Raises StreamsepError when it fails, with its last line."""
    begin = time.perf_counter_ns()
    command = [sys.executable, "-m", "streamsep.profile.first_stem", str(begin)]
    done = subprocess.run(
        [*command, model, device, str(lookahead), render], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StreamsepError(f"the process that measures the start failed: {last}")
    return _read(json.loads(done.stdout.splitlines()[-1]))


def launches(count: int, model: str, device: str, lookahead: int, render: str) -> list[Launch]:
    """``count`` starts after one that is not counted: it brings libraries and weights into the disk's cache."""
    launch(model, device, lookahead, render)
    return [launch(model, device, lookahead, render) for _ in range(count)]


def launch_summary(found: list[Launch]) -> dict[str, Any]:
    """Medians over the starts."""

    def median(values: list[float]) -> float:
        return round(float(np.median(values)), 1)

    return {
        "launches": len(found),
        "first_stem_ms": median([one.first_stem for one in found]),
        "first_stem_range_ms": [round(f([one.first_stem for one in found]), 1) for f in (min, max)],
        "phases_ms": {name: median([one.phases[name] for one in found]) for name in found[0].phases},
        "resident_mb": median([one.resident for one in found]),
        "peak_mb": median([one.peak for one in found]),
    }


def _read(said: dict[str, Any]) -> Launch:
    marks: list[tuple[str, int]] = [(name, at) for name, at in said["marks"]]
    pairs = list(zip(marks, marks[1:], strict=False))
    spans = [Span(name, "start", before, at - before, said["thread"]) for (_, before), (name, at) in pairs]
    phases = {span.name: span.duration / 1e6 for span in spans}
    return Launch(phases, said["resident"], said["peak"], said["process"], spans)
