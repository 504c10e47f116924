"""Two reports side by side: what changed, and whether it is more than noise. Knows reports; measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamsep.errors import OptionError
from streamsep.profile.summary import change

_SETTINGS = ("model", "device", "render", "lookahead", "rate", "threads", "paced")


def read_report(path: Path) -> dict[str, Any]:
    """A report that ``streamsep profile --json`` wrote. Raises OptionError when it is none."""
    try:
        report = json.loads(path.read_text("utf-8"))
        known = "p50" in report["total"] and bool(report["stages"])
    except OSError as error:
        raise OptionError(f"--compare '{path}' cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise OptionError(f"--compare '{path}' is no report of streamsep profile --json.") from error
    if not known:
        raise OptionError(f"--compare '{path}' is no report of streamsep profile --json.")
    return report


def compare(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``total`` and every stage: p50 and p99 before and after; ``differs``: settings that are not the same."""
    rows: dict[str, Any] = {"total": _both(old["total"], new["total"])}
    for stage, found in new["stages"].items():
        if stage in old["stages"]:
            rows[stage] = _both(old["stages"][stage], found)
    differs = [name for name in _SETTINGS if old.get(name) != new.get(name)]
    if old.get("machine", {}).get("processor") != new.get("machine", {}).get("processor"):
        differs.append("processor")
    start = None
    if old.get("start") and new.get("start"):
        start = {
            "old_ms": old["start"]["first_stem_ms"],
            "new_ms": new["start"]["first_stem_ms"],
            "old_range_ms": old["start"]["first_stem_range_ms"],
            "new_range_ms": new["start"]["first_stem_range_ms"],
        }
    return {"date": old.get("date"), "differs": differs, "rows": rows, "start": start}


def _both(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {name: change(old, new, name) for name in ("p50", "p99")}
