"""Spans as a trace that Perfetto and chrome://tracing open: a row for every thread of every process.

The Trace Event Format: complete events ("ph": "X") with microseconds, metadata events ("M") for names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamsep.errors import OutputError
from streamsep.profile.tracer import Span

Rows = Mapping[tuple[int, str], Sequence[Span]]


def trace_events(rows: Rows) -> dict[str, Any]:
    """``rows``: (process id, its name) → spans. Times count from the earliest span of all."""
    spans = [span for some in rows.values() for span in some]
    zero = min((span.begin for span in spans), default=0)
    events: list[dict[str, Any]] = []
    for (process, name), some in rows.items():
        events.append({"ph": "M", "name": "process_name", "pid": process, "tid": process, "args": {"name": name}})
        for thread in dict.fromkeys(span.thread for span in some):
            label = "main thread" if thread == process else f"thread {thread}"
            events.append({"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": label}})
        events += [
            {
                "ph": "X",
                "name": span.name,
                "cat": span.stage,
                "pid": process,
                "tid": span.thread,
                "ts": (span.begin - zero) / 1e3,
                "dur": span.duration / 1e3,
                "args": {"stage": span.stage},
            }
            for span in sorted(some, key=lambda span: (span.begin, -span.duration))
        ]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def write_trace(path: Path, rows: Rows) -> None:
    """Raises OutputError when ``path`` cannot be written."""
    try:
        path.write_text(json.dumps(trace_events(rows)))
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written: {error.strerror}.") from error
