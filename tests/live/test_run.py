"""What is said while the show ends, with a separator that only talks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from streamsep.live import run
from streamsep.live.gains import Gains

BROKE_OFF = "the recording 'takes' ends here: the disk is full."


class Talker:
    """Says at its end that the recording broke off, or has said so before."""

    restart = None
    early = False

    def __init__(self, input: str | None, output: str | None, tell: Callable[[str], None], **_: Any) -> None:
        self.gains, self.broken, self._tell = Gains(), None, tell
        device = SimpleNamespace(name="box")
        self.streams = SimpleNamespace(plan=SimpleNamespace(input=device, output=device))

    def __enter__(self) -> Talker:
        if self.early:
            self._break()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.early:
            self._break()

    def wait(self, seconds: float) -> bool:
        return True

    def _break(self) -> None:
        self.broken = BROKE_OFF
        self._tell(self.broken)


def leave(live: Talker, route: str, console: Console, messages: Any, log: run.JsonLog | None, seconds: Any) -> None:
    """A screen on which everything was shown, and which is gone."""
    run._take(messages, log)


@pytest.mark.parametrize("early", [False, True])
def test_that_the_recording_broke_off_stays_to_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, early: bool
) -> None:
    monkeypatch.setattr(run, "LiveSeparator", Talker)
    monkeypatch.setattr(run, "_screen", leave)
    monkeypatch.setattr(run, "Console", lambda **_: Console(force_terminal=True))
    monkeypatch.setattr(Talker, "early", early)
    run.play(None, None, {}, lambda gains: None, run.Show(log=tmp_path / "log"))
    assert capsys.readouterr().err.splitlines()[-1] == f"streamsep: {BROKE_OFF}"
    assert [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()] == [{"event": BROKE_OFF}]
