"""Keys, the status line and the screen."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pty
import sys
from pathlib import Path

import pytest
from rich.console import Console

from streamsep.config import STEMS
from streamsep.errors import OutputError
from streamsep.live.gains import Gains
from streamsep.live.keys import Desk, split_keys
from streamsep.live.report import JsonLog, level_db, plain_line
from streamsep.live.screen import Screen
from streamsep.live.separator import Snapshot


def snapshot() -> Snapshot:
    numbers = dict.fromkeys(
        ("seconds", "input_level", "output_level", "latency", "model_p50", "model_p95", "model_p99", "compute_p50")
        + ("compute_p99", "fill", "drift_ppm", "fallback_seconds", "cpu", "memory_mb"),
        0.5,
    )
    counts = dict.fromkeys(("late", "hurried", "fallbacks", "underruns", "xruns", "resyncs", "restarts"), 7)
    gains = {"vocals": -math.inf, "drums": 0.0, "bass": 3.0, "other": -6.0}
    levels = dict.fromkeys(STEMS, 0.25)
    return Snapshot(**numbers, **counts, state="live", stem_levels=levels, gains=gains, recording=True)


def test_keys_turn_the_faders() -> None:
    gains = Gains("all")
    desk = Desk(gains)
    for key in split_keys("\x1b[B\x1b[C\x1b[Cms"):
        assert desk.press(key)
    assert gains.gain["drums"] == 2
    assert gains.mute["drums"] and gains.solo["drums"]
    desk.press("w")
    assert gains.dry_wet == pytest.approx(0.9)
    for _ in range(20):
        desk.press("right")
    assert gains.gain["drums"] == 12
    desk.press("p")
    assert not gains.solo["drums"]
    assert desk.press("x")
    assert not desk.press("q")


def test_p_goes_on_from_the_preset_that_is_there() -> None:
    gains = Gains("drumless")
    desk = Desk(gains)
    desk.press("p")
    assert gains.chosen == "bassless"
    gains.preset("all")  # a remote control did
    desk.press("p")
    assert gains.chosen == "karaoke"


_GIVEN_BACK = """
import termios
from streamsep.live.keys import Keyboard
with Keyboard() as keyboard:
    whole = termios.tcgetattr(0)
    whole[3] |= termios.ICANON
    termios.tcsetattr(0, termios.TCSANOW, whole)  # as a shell does on Ctrl-Z
    keyboard.read()
    print("whole lines" if termios.tcgetattr(0)[3] & termios.ICANON else "single keys")
print("whole lines" if termios.tcgetattr(0)[3] & termios.ICANON else "single keys")
"""


def test_keys_are_single_again_after_the_shell_had_the_terminal() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", _GIVEN_BACK])
    said = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other side is closed
        while part := os.read(terminal, 1_000):
            said += part
    os.waitpid(pid, 0)
    os.close(terminal)
    assert said.decode().split("\r\n")[:2] == ["single keys", "whole lines"]


def test_lines_for_people_and_machines(tmp_path: Path) -> None:
    line = plain_line(snapshot())
    assert line.count("\n") == 0
    assert "vocals off" in line and "bass +3 dB" in line and "rec" in line
    log = JsonLog(tmp_path / "log")
    log.snapshot(snapshot())
    log.event("the model is back")
    log.close()
    first, second = [json.loads(text) for text in (tmp_path / "log").read_text().splitlines()]
    assert first["gains"]["vocals"] is None and first["late"] == 7
    assert second == {"event": "the model is back"}
    with (tmp_path / "log").open("a") as file:
        file.write('{"event": "the disk is fu')
    log = JsonLog(tmp_path / "log")
    log.event("there is space again")
    log.close()
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1]) == {"event": "there is space again"}
    with pytest.raises(OutputError, match="cannot be written"):
        JsonLog(tmp_path / "none" / "log")
    assert level_db(0) == -60
    assert level_db(1) == 0


def test_the_screen_shows_levels_gains_and_messages() -> None:
    screen = Screen("line → speakers", Gains())
    screen.say("the model is back")
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(screen.draw(snapshot(), 1))
    text = console.export_text()
    for part in ("line → speakers", "vocals", "▸  drums", "off", "the model is back", "dry fallbacks 7", "-12 dB"):
        assert part in text
