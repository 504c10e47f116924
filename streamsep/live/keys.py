"""Single keys from a terminal, and what they do to the faders. Knows terminals and gains; draws nothing."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from types import TracebackType
from typing import Any, Self

from streamsep.config import STEMS
from streamsep.live.gains import PRESETS, Gains

HELP = "↑↓ stem   ←→ gain   m mute   s solo   p preset   w/W dry/wet   q quit"
_ARROWS = {"[A": "up", "[B": "down", "[C": "right", "[D": "left"}


class Keyboard:
    """Use as a context manager; ``read`` gives the keys pressed since. Silent where standard input is no terminal."""

    def __init__(self) -> None:
        self._saved: Any = None
        self._file = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None

    def read(self) -> list[str]:
        """Names of keys: one character each, or up, down, left, right."""
        if self._file is None or self._saved is None:
            return []
        self._ours_again()
        text = ""
        while select.select([self._file], [], [], 0)[0]:
            part = os.read(self._file, 64)
            if not part:
                break
            text += part.decode(errors="replace")
        return split_keys(text)

    def _ours_again(self) -> None:
        """After Ctrl-Z and fg the shell has given the terminal back with whole lines."""
        import termios
        import tty

        assert self._file is not None
        with contextlib.suppress(OSError):  # another session's terminal
            ours = os.tcgetpgrp(self._file) == os.getpgrp()  # who sets it from the background is stopped
            if ours and termios.tcgetattr(self._file)[3] & termios.ICANON:
                tty.setcbreak(self._file)

    def __enter__(self) -> Self:
        if self._file is not None:
            with contextlib.suppress(ImportError):  # Windows: no single keys
                import termios
                import tty

                self._saved = termios.tcgetattr(self._file)
                tty.setcbreak(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and self._saved is not None:
            import termios

            termios.tcsetattr(self._file, termios.TCSADRAIN, self._saved)


def split_keys(text: str) -> list[str]:
    """What a terminal sent → names of keys."""
    keys, at = [], 0
    while at < len(text):
        if text[at] == "\x1b" and text[at + 1 : at + 3] in _ARROWS:
            keys.append(_ARROWS[text[at + 1 : at + 3]])
            at += 3
        else:
            keys.append(text[at])
            at += 1
    return keys


class Desk:
    """Turns keys into faders. ``press`` returns False for the key that quits."""

    def __init__(self, gains: Gains) -> None:
        self._gains = gains
        self.selected = 0

    def press(self, key: str) -> bool:
        gains, stem = self._gains, STEMS[self.selected]
        match key:
            case "q":
                return False
            case "up" | "down":
                self.selected = (self.selected + (1 if key == "down" else -1)) % len(STEMS)
            case "left" | "right":
                gains.step_gain(stem, 1.0 if key == "right" else -1.0)
            case "m":
                gains.set_mute(stem, not gains.mute[stem])
            case "s":
                gains.set_solo(stem, not gains.solo[stem])
            case "p":
                names = list(PRESETS)
                gains.preset(names[(names.index(gains.chosen) + 1) % len(names)])
            case "w" | "W":
                gains.set_dry_wet(min(1.0, max(0.0, round(gains.dry_wet + (0.1 if key == "W" else -0.1), 2))))
            case _:
                pass
        return True
