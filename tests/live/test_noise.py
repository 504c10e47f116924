"""What sound libraries write to standard error stays away, whatever else is written there comes through."""

from __future__ import annotations

import os
import sys

import pytest

from streamsep.live.noise import filtered


def test_lines_of_sound_libraries_are_dropped_and_others_pass(capfd: pytest.CaptureFixture[str]) -> None:
    with filtered():
        os.write(2, b"ALSA lib pcm.c:8570:(snd_pcm_recover) underrun occurred\n\n")
        os.write(2, b"Expression 'ret' failed in 'src/hostapi/alsa/pa_linux_alsa.c', line: 1812\n")
        os.write(2, b"the model's process has something to say\n")
        print("so do we", file=sys.stderr)
    os.write(2, b"ALSA lib again, after\n")
    said = capfd.readouterr().err.splitlines()
    assert sorted(said) == ["ALSA lib again, after", "so do we", "the model's process has something to say"]
