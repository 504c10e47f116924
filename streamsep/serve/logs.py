"""Log lines for people or, as JSON objects, for programs. Knows log records only.

What a line is about stands in its ``extra``: ``event`` and whatever belongs to it.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, message and every extra."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at the moment, as the standard library's last resort does: it may be replaced, and what
    it was be closed.
    """

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        pass


def set_up(as_json: bool, level: str = "INFO") -> None:
    """Log of ``streamsep`` to stderr."""
    handler = _Stderr()
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("streamsep")
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
    # A peer that leaves in the middle of a handshake is no event here.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
