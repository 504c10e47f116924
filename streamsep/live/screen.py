"""The terminal screen: meters, faders, latency, troubles. Knows how to draw a snapshot; knows no devices."""

from __future__ import annotations

from collections import deque

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsep.config import STEMS
from streamsep.live.gains import Gains
from streamsep.live.keys import HELP
from streamsep.live.report import FLOOR_DB, gain_text, level_db
from streamsep.live.separator import Snapshot

_CELLS = 32
_FALL_DB = 3.0  # a picture: meters fall slower than peaks do
_LINES = 4  # of messages


class Screen:
    """``draw`` gives what rich shows; ``say`` adds a message."""

    def __init__(self, route: str, gains: Gains) -> None:
        self._route, self._gains = route, gains
        self._meters = dict.fromkeys(("input", *STEMS, "output"), FLOOR_DB)
        self._messages: deque[str] = deque(maxlen=_LINES)

    def say(self, line: str) -> None:
        self._messages.append(line)

    def draw(self, now: Snapshot, selected: int) -> RenderableType:
        peaks = {"input": now.input_level, **now.stem_levels, "output": now.output_level}
        meters = Table.grid(padding=(0, 1))
        for name, peak in peaks.items():
            level = self._meters[name] = max(self._meters[name] - _FALL_DB, level_db(peak))
            marker = "▸" if name in STEMS and STEMS.index(name) == selected else " "
            meters.add_row(marker + f"{name:>7}", _bar(level), f"{level:4.0f} dB", self._fader(name))
        colour = {"live": "green", "dry": "yellow", "paused": "red"}[now.state]
        facts = Table.grid(padding=(0, 2))
        facts.add_row(
            f"latency {now.latency:.0f} ms",
            f"model {now.model_p50:.0f} / {now.model_p95:.0f} / {now.model_p99:.0f} ms (p50 / p95 / p99)",
            f"frame {now.compute_p50:.0f} ms, 99 % {now.compute_p99:.0f} ms",
        )
        facts.add_row(
            f"fill {now.fill:.0f} ms",
            f"drift {now.drift_ppm:+.0f} ppm   cpu {now.cpu:.0f} %   {now.memory_mb:.0f} MB",
            f"dry/wet {self._gains.dry_wet:.0%}" + ("   ● rec" if now.recording else ""),
        )
        facts.add_row(
            f"late {now.late}   hurried {now.hurried}",
            f"dry fallbacks {now.fallbacks} ({now.fallback_seconds:.1f} s)   restarts {now.restarts}",
            f"underruns {now.underruns}   device xruns {now.xruns}",
        )
        title = Text.assemble((f" {now.state} ", f"reverse {colour}"), f"  {self._route}  {_clock(now.seconds)}")
        messages = [Text(line, style="yellow", overflow="fold") for line in self._messages]
        return Group(title, meters, facts, *messages, Text(HELP, style="dim"))

    def _fader(self, name: str) -> str:
        if name not in STEMS:
            return ""
        marks = ("  mute" if self._gains.mute[name] else "") + ("  solo" if self._gains.solo[name] else "")
        return gain_text(self._gains.gain[name]) + marks


def _bar(level: float) -> Text:
    lit = round(_CELLS * (1 - level / FLOOR_DB)) if level < 0 else _CELLS
    colour = "red" if level > -1 else "green"
    return Text.assemble(("█" * lit, colour), ("·" * (_CELLS - lit), "dim"))


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3_600}:{whole // 60 % 60:02}:{whole % 60:02}"
