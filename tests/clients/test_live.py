"""Line-in to the server to the loudspeaker, on a real sound server with sinks that lead nowhere; its faders."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from clients.python.errors import ClientError
from clients.python.faders import Faders
from clients.python.live import LiveOptions, _devices
from clients.python.speaker import Speaker
from streamsep.engine.separator import load
from tests.clients.listening import energy, likeness
from tests.live import sound_server
from tests.serve.running import Running
from tests.sounds import tune

RATE, SECONDS = 48_000, 3.0
MISSING = sound_server.missing(sound_server.PULSE)


def test_faders_as_people_write_them() -> None:
    faders = Faders()
    for line in ("vocals -12", "drums=off", "bass +6dB", "mute other", "solo bass", "solo bass"):
        faders.order(line)
    changes = faders.changes()
    assert changes["gains"]["vocals"] == pytest.approx(0.2512, abs=1e-4) and changes["gains"]["drums"] == 0
    assert changes["mute"] == ("other",) and changes["solo"] == ()
    assert str(faders) == "vocals -12.0 dB, drums off, bass +6.0 dB, other +0.0 dB (mute)"
    for line in ("vocals", "vocals loud", "vocals 30", "vocals 7000", "mute guitar", "vocals nan", "louder please now"):
        with pytest.raises(ClientError):
            faders.order(line)
    faders.order("reset")
    assert faders == Faders()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--live", "song.wav"], "--live takes no file"),
        (["--live", "--stems", "vocals"], "--live plays the mix; leave out --stems"),
        (["--live", "--overwrite"], "--live plays the mix; leave out --stems and --overwrite"),
        (["--live", "--gain", "vocals=loud"], "'loud' is no level"),
        (["--live", "--mute", "guitar"], "no stem 'guitar'"),
        (["--live", "--url", "ws://127.0.0.1:9/v1"], "needs PortAudio" if sound_server.missing(()) else "no server at"),
        ([], "give a sound file and a folder"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "clients.python", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_what_was_heard_is_a_copy() -> None:
    """The sound library writes the next block where the last one was."""
    callbacks: dict[str, Any] = {}

    def stream(name: str) -> Any:
        def opened(callback: Any, **_: Any) -> Any:
            callbacks[name] = callback
            return nullcontext()

        return opened

    async def capture(channels: int) -> list[np.ndarray]:
        sound = SimpleNamespace(InputStream=stream("input"), OutputStream=stream("output"), PortAudioError=OSError)
        heard: asyncio.Queue[np.ndarray] = asyncio.Queue()
        options = LiveOptions("", channels=channels)
        with _devices(sound, options, Speaker(RATE, channels), heard):
            buffer = np.zeros((3, channels), np.float32)
            for number in (1, 2):
                buffer[:] = number
                callbacks["input"](buffer, 3, None, None)
            return [await heard.get() for _ in range(2)]

    for channels in (1, 2):
        blocks = asyncio.run(capture(channels))
        assert [block.shape for block in blocks] == [(channels, 3)] * 2
        assert [float(block.mean()) for block in blocks] == [1, 2] and blocks[0].flags.c_contiguous


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.skipif(MISSING is not None, reason=MISSING or "")
def test_line_in_comes_out_of_the_loudspeaker_as_the_faders_say(server: Running, model: Path, tmp_path: Path) -> None:
    song = tune(SECONDS, RATE)
    path = tmp_path / "song.wav"
    soundfile.write(path, np.tile(song, 20).T, RATE)
    with ExitStack() as stack:
        env = stack.enter_context(sound_server.pulse()).env
        start = {"env": env, "stderr": subprocess.PIPE}
        stack.enter_context(ended(subprocess.Popen(["paplay", "--device=linein", str(path)], **start)))
        record = ["parec", "--device=speakers.monitor", "--raw", "--format=float32le", f"--rate={RATE}", "--channels=2"]
        recorder = stack.enter_context(ended(subprocess.Popen(record, stdout=subprocess.PIPE, **start)))
        command = [sys.executable, "-m", "clients.python", "--live", "--url", server.url, "--gain", "drums=0"]
        client = stack.enter_context(ended(subprocess.Popen(command, stdin=subprocess.PIPE, **start)))

        def listen(seconds: float) -> np.ndarray:
            assert recorder.stdout is not None
            return np.frombuffer(recorder.stdout.read(round(seconds * RATE) * 8), np.float32)[::2]

        def say(line: str) -> str:
            assert client.stdin is not None and client.stderr is not None
            client.stdin.write(f"{line}\n".encode())
            client.stdin.flush()
            return hear()

        def hear() -> str:
            assert client.stderr is not None
            while (line := client.stderr.readline().decode()).startswith("ALSA"):
                pass  # the library's own complaints about a machine that is busy
            return line

        assert "Type 'vocals -12'" in hear()
        deadline = time.monotonic() + 20
        while energy(listen(0.5)) < -60:
            assert time.monotonic() < deadline, "nothing comes out"
        listen(2.0)
        everything = listen(SECONDS)
        assert "is no fader" in say("louder")
        assert "drums +0.0 dB (mute)" in say("mute drums") and "vocals off" in say("vocals off")
        listen(1.5)
        without = listen(SECONDS)
        last = say("quit")
        assert client.wait(20) == 0 and "gaps" in last

    stems = load(model).separate(np.tile(song, 2), RATE)
    whole = song[0]
    rest = (stems["bass"] + stems["other"])[0, -len(whole) :]
    assert energy(everything) == pytest.approx(energy(whole), abs=1.5)
    assert energy(without) - energy(everything) == pytest.approx(energy(rest) - energy(whole), abs=1.5)
    assert likeness(everything, whole, RATE) > 0.9
    assert likeness(without, rest, RATE) > 0.9
