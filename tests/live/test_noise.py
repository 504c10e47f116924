"""What sound libraries write to standard error stays away, whatever else is written there comes through."""

from __future__ import annotations

import os
import subprocess
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


_SHOW = r"""
import os, sys, time
from multiprocessing.shared_memory import SharedMemory
from streamsep.live.noise import filtered
with filtered():
    print("line \u2192 speakers", file=sys.stderr)
    os.write(2, b"the model: \xe2\x86\x92\n")
    memory = SharedMemory(create=True, size=64)
    memory.close()
    memory.unlink()
    began = time.monotonic()
print(f"{time.monotonic() - began:.2f}")
"""


def test_any_terminal_shows_it_and_the_end_does_not_wait() -> None:
    """In a process of its own, with an encoding of 7 bits and without shared memory so far."""
    ascii = os.environ | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", _SHOW], env=ascii, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    said = sorted(done.stderr.splitlines())
    assert said[0] == b"line ? speakers"
    assert said[1].startswith(b"the model: ?")
    assert float(done.stdout) < 0.9
