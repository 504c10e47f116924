"""What was set and goes on to hold, for a server that knows nothing of it. Knows positions; knows no sockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamsep.protocol import Hello, Set

_NAMES = ("gains", "mute", "solo", "stems", "lookahead")


class Desk:
    """``ask`` for changes as they come; ``passed`` says how far the stems are, in the same positions."""

    def __init__(self) -> None:
        self._holds: dict[str, Any] = {}
        self._later: list[tuple[int, Set]] = []  # (position from which it holds at the latest, change)

    def ask(self, change: Set, position: int) -> None:
        """``change``, asked for after the sound before ``position``."""
        self._later.append((max(position, change.position or 0), change))
        self._later.sort(key=lambda each: each[0])  # stable: from the same sample on the last one holds

    def passed(self, position: int) -> None:
        """The stems before ``position`` are here, with the changes up to there."""
        while self._later and self._later[0][0] <= position:
            self._hold(self._later.pop(0)[1])

    def hello(self, hello: Hello) -> Hello:
        """``hello`` with the outputs and the lookahead that hold."""
        return replace(hello, **{name: self._holds[name] for name in ("stems", "lookahead") if name in self._holds})

    def again(self, hello: Hello) -> list[Set]:
        """What a session that began with ``hello`` has to be told: what holds now, and what is to hold later on."""
        now = {name: value for name, value in self._holds.items() if getattr(hello, name, None) != value}
        later = [change for position, change in self._later if change.position == position]
        return [*([Set(**now)] if now else []), *later]

    def _hold(self, change: Set) -> None:
        for name in _NAMES:
            value = getattr(change, name)
            if name == "gains" and value is not None:  # of some stems; those of the others stay
                value = {**self._holds.get(name, {}), **value}
            if value is not None:
                self._holds[name] = value
