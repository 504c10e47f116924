"""One line for people, one for machines, of how it goes. Knows snapshots; prints to whatever it is given."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO

from streamsep.audio.sink import reason
from streamsep.errors import OutputError
from streamsep.live.separator import Snapshot

FLOOR_DB = -60.0


def plain_line(now: Snapshot) -> str:
    """Everything that matters in one line."""
    gains = " ".join(f"{stem} {gain_text(db)}" for stem, db in now.gains.items())
    return (
        f"{now.seconds:7.0f} s {now.state}"
        f" | in {level_db(now.input_level):4.0f} dB out {level_db(now.output_level):4.0f} dB | {gains}"
        f" | latency {now.latency:.0f} ms"
        f", model {now.model_p50:.0f}/{now.model_p95:.0f}/{now.model_p99:.0f} ms"
        f" | fill {now.fill:.0f} ms drift {now.drift_ppm:+.0f} ppm"
        f" | late {now.late} hurried {now.hurried} dry {now.fallbacks}"
        f" underruns {now.underruns + now.xruns} restarts {now.restarts} | cpu {now.cpu:.0f} %"
        + (" | rec" if now.recording else "")
    )


def gain_text(db: float) -> str:
    return "off" if db == -math.inf else f"{db:+.0f} dB"


def level_db(peak: float) -> float:
    """Peak in dB below full scale, at least -60."""
    return max(FLOOR_DB, 20 * math.log10(peak)) if peak > 0 else FLOOR_DB


class JsonLog:
    """A file of one JSON object a line: snapshots, and events as ``{"event": text}``. Ends quietly when it cannot."""

    def __init__(self, path: Path) -> None:
        try:
            cut_off = _cut_off(path)
            self._file: IO[str] | None = path.open("a", encoding="utf-8")
            if cut_off:
                self._file.write("\n")
        except OSError as error:
            raise OutputError(f"'{path}' cannot be written: {reason(error)}.") from error

    def snapshot(self, now: Snapshot) -> None:
        self._write(now.to_dict())

    def event(self, line: str) -> None:
        self._write({"event": line})

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, values: dict[str, object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()
        except OSError:
            self._file = None  # a full disk must not touch the sound


def _cut_off(path: Path) -> bool:
    """Whether an earlier run ended in mid-line: by a full disk, or a kill."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
