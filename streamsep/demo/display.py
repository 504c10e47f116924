"""What the user sees while the demo plays: position, frame time, and a level meter for each stem."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from streamsep.config import STEMS
from streamsep.demo.player import Tick

_WIDTH = 32  # cells of a meter
_FLOOR_DB = -60.0
_FALL_DB = 1.5  # a frame: as fast as a peak meter falls
_EVERY = 3  # frames between two pictures: drawing costs about as much as a frame of the model


class Display:
    """Use as a context manager; ``heard`` takes each tick. Without a terminal it stays silent."""

    def __init__(self, console: Console, seconds: float, frame_ms: float) -> None:
        self._seconds = seconds
        self._frame_ms = frame_ms
        self._times: list[float] = []
        self._levels = dict.fromkeys(("mixture", *STEMS), _FLOOR_DB)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def heard(self, tick: Tick) -> None:
        self._times.append(tick.milliseconds)
        for name, sound in (("mixture", tick.mixture), *tick.stems.items()):
            self._levels[name] = max(self._levels[name] - _FALL_DB, level_db(sound))
        if self._live and len(self._times) % _EVERY == 0:
            self._live.update(self._draw(tick.played), refresh=True)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def _draw(self, played: float) -> Group:
        recent = self._times[-25:]
        mean = sum(recent) / len(recent)
        top = Table.grid(padding=(0, 1))
        top.add_row(
            "playing",
            ProgressBar(total=self._seconds, completed=played, width=_WIDTH),
            f"{played:4.1f} of {self._seconds:.1f} s",
            f"frame {mean:4.1f} ms of {self._frame_ms:.0f}, {mean / self._frame_ms:.2f} × real time",
        )
        meters = Table.grid(padding=(0, 1))
        for name, level in self._levels.items():
            filled, rest = meter(level)
            meters.add_row(f"{name:>7}", f"[green]{filled}[/green][dim]{rest}[/dim]", f"{level:4.0f} dB")
        return Group(top, meters)


def level_db(sound: NDArray[np.float32]) -> float:
    """RMS in dB below full scale, at least -60."""
    power = float(np.mean(np.square(sound, dtype=np.float64))) if sound.size else 0.0
    return max(_FLOOR_DB, 10 * math.log10(power)) if power > 0 else _FLOOR_DB


def meter(level: float) -> tuple[str, str]:
    """A bar for ``level`` in dB: its lit and its dark part, 32 cells together."""
    cells = round(_WIDTH * (1 - max(_FLOOR_DB, min(0.0, level)) / _FLOOR_DB))
    return "█" * cells, "·" * (_WIDTH - cells)
