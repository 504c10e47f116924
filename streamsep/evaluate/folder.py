"""The report's folder: a record for each finished song, results and page. Knows files; measures nothing.

A record carries a fingerprint of all that it depends on (options, versions, weights, the song's files), so that a run
goes on where it was and never mixes what was measured differently.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamsep
from streamsep.config import SHIPPED_MODELS
from streamsep.data.systems import system_files
from streamsep.errors import OutputError
from streamsep.evaluate.entries import Plan
from streamsep.evaluate.run import EvaluateOptions, SongRecord
from streamsep.evaluate.songs import SongFolder

RESULTS, PAGE, SONGS = "results.json", "index.html", "songs"
FORMAT = 1  # of the records


class ReportFolder:
    """``report/``. Raises OutputError when it cannot be written."""

    def __init__(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        self.path = path
        self._fingerprint = dict(fingerprint)
        try:
            (path / SONGS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"'{path}' cannot be made: {error.strerror}; choose another --out.") from error

    def finished(self, song: SongFolder) -> SongRecord | None:
        """The record of a song that was measured with the same options before."""
        try:
            raw: Any = json.loads(self._path(song).read_text("utf-8"))
            if raw["key"] != self._key(song):
                return None
            return SongRecord.from_dict(raw["record"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, song: SongFolder, record: SongRecord) -> None:
        """A song in which a system failed is not finished: it is measured again next time."""
        if not record.failures:
            self._write(self._path(song), json.dumps({"key": self._key(song), "record": record.to_dict()}))

    def write(self, results: Mapping[str, Any], page: str) -> None:
        self._write(self.path / RESULTS, json.dumps(results, indent=1, allow_nan=False) + "\n")
        self._write(self.path / PAGE, page)

    def _path(self, song: SongFolder) -> Path:
        slug = re.sub(r"[^\w-]+", "_", song.name)[:60]
        return self.path / SONGS / f"{slug}-{_digest(song.name)[:8]}.json"

    def _key(self, song: SongFolder) -> str:
        """Also of the files' sizes and times, so that a song that changed is measured anew."""
        files = list(song.files.values()) or [song.path if song.path.is_file() else song.path / "stems.npy"]
        stamps = [_stamp(file) for file in files]
        return _digest(json.dumps([FORMAT, self._fingerprint, song.name, stamps], sort_keys=True))

    def _write(self, path: Path, text: str) -> None:
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_text(text, "utf-8", "replace")  # of names that are not UTF-8
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(f"'{path}' cannot be written: {error.strerror or error}; free space.") from error


def fingerprint(plan: Plan, options: EvaluateOptions, judges: list[str]) -> dict[str, Any]:
    """What the numbers of a song depend on, beside the song."""
    return {
        "version": streamsep.__version__,
        "models": [[name, _weights(name)] for name in (plan.model, *plan.baselines)],
        "device": plan.device,
        "systems": [[text, *map(_stamp, system_files(text))] for text in plan.systems],
        "lookaheads": plan.lookaheads,
        "token_oracles": plan.token_oracles,
        "seconds": options.seconds,
        "families": options.families,
        "exhibits": options.exhibits,
        "judges": judges,
    }


def _weights(model: str) -> str:
    """Hash of a model's files, "" where there are none: loading will say so."""
    for folder in (SHIPPED_MODELS / model, Path(model)):
        try:
            found = [(folder / name).read_bytes() for name in ("model.safetensors", "config.json")]
            return hashlib.sha256(b"".join(found)).hexdigest()
        except OSError:
            continue
    return ""


def _stamp(file: Path) -> tuple[str, int, int]:
    """A file of a certain size and time."""
    found = file.stat()
    return str(file.resolve()), found.st_size, found.st_mtime_ns


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
