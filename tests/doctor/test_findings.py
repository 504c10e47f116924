"""Findings about this machine: what must hold on any."""

from __future__ import annotations

import json
import sys

import pytest
from rich.console import Console

from kernels.registry import IMPLEMENTATIONS
from streamsep.doctor.environment import environment, usable_cores
from streamsep.doctor.parts import kernel_table, sound_devices
from streamsep.doctor.speed import chord_and_pulse
from streamsep.doctor.tables import print_findings
from streamsep.evaluate.timing import frame_summary

SPEED = {"model": "tiny", "device": "cpu", "rows": [{"threads": 1, **frame_summary([10.0] * 99 + [30.0])}]}


def test_environment_is_json_and_names_torch() -> None:
    found = environment()
    json.dumps(found)
    assert found["packages"]["torch"] and found["cpu"]["usable_cores"] == usable_cores() >= 1
    assert found["cuda"]["available"] or found["cuda"]["reason"]


def test_kernels_have_one_choice_an_op() -> None:
    rows = kernel_table("cpu")
    assert len(rows) == len(IMPLEMENTATIONS)
    for op in {row["op"] for row in rows}:
        assert sum(row["used"] for row in rows if row["op"] == op) == 1
    assert not any(row["used"] for row in kernel_table("abacus"))


def test_missing_portaudio_is_one_sentence_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    found = sound_devices()
    assert not found["available"] and "install libportaudio2" in found["problem"]


def test_frame_times_are_summed_up() -> None:
    row = SPEED["rows"][0]
    assert row["median_ms"] == 10 and row["max_ms"] == 30 and row["real_time_factor"] == pytest.approx(0.255)
    sound = chord_and_pulse(38_400)
    assert sound.shape == (2, 38_400) and 0.05 < abs(sound).max() < 1


@pytest.mark.parametrize("speed", [None, SPEED, {"model": "x", "problem": "unknown model 'x'."}])
def test_findings_are_printed(speed: dict[str, object] | None, capsys: pytest.CaptureFixture[str]) -> None:
    report = {"environment": environment(), "sound": sound_devices(), "kernels": kernel_table("cpu"), "speed": speed}
    print_findings(Console(width=200), report)
    text = capsys.readouterr().out
    assert "torch" in text and "depth_decode" in text
    assert ("real time" in text) == (speed is SPEED)
