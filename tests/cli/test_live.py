"""``streamsep live``: whatever is wrong is one sentence and exit code 2, before anything is loaded."""

from __future__ import annotations

import pytest

from streamsep.live import devices
from streamsep.live.devices import Device
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--preset", "karoke"), "did you mean karaoke?"),
        (("--gain", "voice=0"), "unknown stem 'voice'"),
        (("--gain", "bass=60"), "out of range"),
        (("--gain", "bass"), "'bass' is no gain"),
        (("--mute", "piano"), "unknown stem 'piano'"),
        (("--solo", "drums,piano"), "unknown stem 'piano'"),
        (("--dry-wet", "2"), "dry/wet of 2"),
        (("--lookahead", "7"), "unknown lookahead 7"),
        (("--block", "7"), "a block of 7"),
        (("--margin", "-1"), "a margin of -1"),
        (("--threads", "0"), "--threads 0"),
        (("--seconds", "0"), "--seconds 0"),
        (("--osc", "nine"), "--osc 'nine' is no port"),
        (("--midi-cc", "fader/vocals=3"), "name the MIDI input with --midi"),
        (("--in", "box", "--virtual-cable"), "--virtual-cable is an input itself"),
        (("--midi", "box", "--midi-cc", "fader/vocals"), "--midi-cc 'fader/vocals' is none"),
        (("--midi", "box", "--midi-cc", "fader/piano=3"), "there is no control 'fader/piano'"),
    ],
)
def test_options_that_make_no_sense(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run("live", *arguments)
    assert result.code == 2
    assert said in result.err
    assert result.err.count("\n") == 1


def test_help_has_examples(run: Run) -> None:
    for command in ("live", "devices"):
        result = run(command, "--help")
        assert result.code == 0 and f"streamsep {command}" in result.out


def test_names_of_devices_are_shown_as_they_are(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Device(0, "Mic [/b] [red]", "[ALSA]", 2, 0, 48_000, 0.01, 0.01, True, False)
    monkeypatch.setattr(devices, "list_devices", lambda: (found,))
    result = run("devices")
    assert result.code == 0
    assert "Mic [/b] [red]" in result.out and "[ALSA]" in result.out
