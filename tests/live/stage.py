"""``streamsep live`` as a user starts it, on a sound server of a test's own; and how its sound is judged."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.live.sound_server import Server, wait_for

Sound = NDArray[np.float32]


@dataclass
class Show:
    """A ``streamsep live`` that runs: its status, a line a second, and what it said, a line each."""

    process: subprocess.Popen[str]
    log: Path
    said: list[str] = field(default_factory=list)

    @property
    def status(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if "event" not in line]

    def wait_said(self, text: str, seconds: float = 60) -> str:
        """The first line with ``text`` in it."""
        wait_for(lambda: any(text in line for line in self.said), seconds, f"'{text}' was not said: {self.said}")
        return next(line for line in self.said if text in line)


@contextlib.contextmanager
def live(server: Server, folder: Path, *options: str) -> Iterator[Show]:
    """``streamsep live`` until the end of the block; it must then end well."""
    log = folder / "live.jsonl"
    log.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "streamsep", "live", "--plain", "--json-log", str(log), *server.options, *options],
        env=server.env | {"PYTHONPATH": os.getcwd()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    show = Show(process, log)
    reader = threading.Thread(target=_read, args=(process, show.said), daemon=True)
    reader.start()
    try:
        wait_for(lambda: process.poll() is not None or any("live," in line for line in show.said), 240, "no start")
        assert process.poll() is None, show.said
        yield show
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(10)
    assert process.returncode in (0, 130), show.said


def _read(process: subprocess.Popen[str], said: list[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line.strip())


def delay_of(heard: Sound, song: Sound) -> int:
    """Samples by which ``heard`` [2, m] lies behind ``song`` [2, n]."""
    size = 1 << (heard.shape[1] + song.shape[1]).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(song, size)), size).sum(0)
    peak = int(np.argmax(product))
    return peak if peak < heard.shape[1] else peak - size


def aligned(heard: Sound, song: Sound, slack: int = 4_800) -> Sound:
    """``heard`` moved onto ``song``, second by second.

    A server that loses a block on a busy machine moves what follows: by up to ``slack`` samples.
    """
    delay = delay_of(heard, song)
    padded = np.pad(heard, ((0, 0), (max(0, -delay) + slack, song.shape[1] + slack)))
    parts = []
    for index, part in enumerate(windows(song)):
        start = max(0, delay) + index * part.shape[1]
        near = padded[:, start : start + part.shape[1] + 2 * slack]
        at = max(0, delay_of(near, part)) if np.abs(part).max() > 1e-3 else slack
        parts.append(near[:, at : at + part.shape[1]])
    out = np.concatenate(parts, axis=1)
    return np.pad(out, ((0, 0), (0, song.shape[1] - out.shape[1])))


def windows(sound: Sound, seconds: float = 1.0) -> list[Sound]:
    size = round(48_000 * seconds)
    return [sound[:, at : at + size] for at in range(0, sound.shape[1] - size + 1, size)]


def level(sound: Sound) -> float:
    """RMS in dB."""
    return 10 * float(np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def residuals(heard: Sound, wanted: Sound) -> list[float]:
    """dB of ``heard - wanted`` below ``wanted`` in every second, both [2, n]."""
    return [level(a - b) - level(b) for a, b in zip(windows(heard), windows(wanted), strict=True)]


def gain_of(stem: Sound, heard: Sound) -> float:
    """How much of ``stem`` is in ``heard``, dB: projection of one on the other."""
    stem, heard = stem.astype(np.float64), heard.astype(np.float64)
    return 20 * float(np.log10(abs(np.sum(stem * heard)) / np.sum(stem * stem) + 1e-9))


def loopback_test(server: Server, *options: str) -> str:
    """What ``streamsep live --loopback-test`` prints, with a cable from the loudspeaker to the line-in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamsep", "live", "--loopback-test", *server.options, *options],
        env=server.env | server.cable | {"PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: process.poll() is not None or server.plug_cable(), 240, "the devices were not opened")
        out, error = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, error
    return out
