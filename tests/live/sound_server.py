"""Sound servers of a test's own, without a desktop or a sound card: PulseAudio with two null sinks, JACK's dummy.

``pulse`` and ``jack`` give a ``Server``: the environment in which programs find it, the options with which ``streamsep
live`` uses it, and ``perform``, which plays a song into the line-in and records the loudspeaker meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Sound = NDArray[np.float32]
RATE = 48_000
_ASOUND = "pcm.!default { type pulse }\nctl.!default { type pulse }\npcm.pulse { type pulse }\n"
_numbers = itertools.count()


def missing(programs: tuple[str, ...]) -> str | None:
    """Why there can be no server of these programs here; None when there can."""
    for program in programs:
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError):
        return "PortAudio is not installed"
    return None


PULSE = ("pulseaudio", "pactl", "paplay", "parec")
JACK = ("jackd", "jack_lsp", "jack_connect", "jack_disconnect")


@dataclass
class Server:
    """A server that runs. ``process`` may be killed and ``start`` called again."""

    env: dict[str, str]
    options: tuple[str, ...]
    command: tuple[str, ...]
    alive: tuple[str, ...]  # a program that succeeds when the server answers
    cable: dict[str, str] = field(default_factory=dict)  # of the environment: the loudspeaker is the line-in
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: self.run(*self.alive).returncode == 0, 60, f"{self.command[0]} does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=60)

    def perform(self, song: Sound, folder: Path) -> Sound:
        """``song`` [2, n] at 48 kHz into the line-in; what the loudspeaker gave meanwhile, and two seconds more."""
        raise NotImplementedError

    def plug_cable(self) -> bool:
        """Connect the loudspeaker with the line-in, where ``cable`` has not done it; False while nobody is there."""
        return True


class Pulse(Server):
    def perform(self, song: Sound, folder: Path) -> Sound:
        quiet = np.zeros((2, RATE), np.float32)  # a null sink spoils the first moments of what is played to it
        soundfile.write(folder / "song.wav", np.concatenate([quiet, song], axis=1).T, RATE, "PCM_16")
        with (folder / "heard.raw").open("wb") as heard:
            record = subprocess.Popen(
                ["parec", "--device=speakers.monitor", "--format=float32le", f"--rate={RATE}", "--latency-msec=50"],
                env=self.env,
                stdout=heard,
            )
            wait_for(lambda: (folder / "heard.raw").stat().st_size > 0, 30, "parec hears nothing")
            subprocess.run(["paplay", "--device=linein", folder / "song.wav"], env=self.env, check=True)
            time.sleep(2)
            record.terminate()
            record.wait(20)
        return np.fromfile(folder / "heard.raw", np.float32).reshape(-1, 2).T


class Jack(Server):
    def perform(self, song: Sound, folder: Path) -> Sound:
        np.save(folder / "song.npy", song)
        command = [sys.executable, "-m", "tests.live.player", str(folder / "song.npy"), str(folder / "heard.npy")]
        done = self.run(*command)
        assert done.returncode == 0, done.stderr
        return np.load(folder / "heard.npy")

    def plug_cable(self) -> bool:
        pairs = [(f"streamsep:out_{channel}", f"streamsep:in_{channel}") for channel in (0, 1)]
        return all(self.run("jack_connect", *pair).returncode == 0 for pair in pairs)


@contextlib.contextmanager
def pulse() -> Iterator[Pulse]:
    """Two null sinks: ``linein``, whose monitor is the default source, and ``speakers``, the default sink."""
    with tempfile.TemporaryDirectory(prefix="pulse") as folder:
        (Path(folder) / ".asoundrc").write_text(_ASOUND)
        places = {"HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_SOURCE": "linein.monitor", "PULSE_SINK": "speakers"}
        server = Pulse(
            _clean() | places,
            ("--in", "pulse", "--out", "pulse"),
            (
                *("pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no"),
                "--load=module-native-protocol-unix",
                "--load=module-null-sink sink_name=linein rate=48000",
                "--load=module-null-sink sink_name=speakers rate=48000",
            ),
            ("pactl", "info"),
            {"PULSE_SOURCE": "speakers.monitor"},
        )
        yield from _running(server)


@contextlib.contextmanager
def pulse_stage() -> Iterator[Pulse]:
    """One null sink ``stage`` of four channels, default sink and, by its monitor, default source: what is played on
    1, 2 is the line-in of streamsep, which plays on 3, 4. Its monitor holds both on one time axis.
    """
    with tempfile.TemporaryDirectory(prefix="pulse") as folder:
        (Path(folder) / ".asoundrc").write_text(_ASOUND)
        (Path(folder) / "daemon.conf").write_text("enable-remixing = no\n")  # channels 3, 4 are not mixed into 1, 2
        server = Pulse(
            _clean()
            | {"HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_CONFIG": f"{folder}/daemon.conf"}
            | {"PULSE_SOURCE": "stage.monitor", "PULSE_SINK": "stage"},
            ("--in", "pulse", "--out", "pulse", "--in-channels", "1,2", "--out-channels", "3,4"),
            (
                *("pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no"),
                "--load=module-native-protocol-unix",
                "--load=module-null-sink sink_name=stage rate=48000 channels=4 "
                "channel_map=front-left,front-right,rear-left,rear-right",
            ),
            ("pactl", "info"),
        )
        yield from _running(server)


@contextlib.contextmanager
def jack(period: int = 256, channels: int = 2, patient: bool = False) -> Iterator[Jack]:
    """The dummy driver: a device ``system`` whose inputs are silent; the player connects itself to streamsep.

    ``patient``: it waits for clients that are late. Otherwise, as on a stage, it goes on and their block is lost.
    """
    name = f"streamsep{os.getpid()}-{next(_numbers)}"
    server = Jack(
        _clean() | {"JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1"},
        ("--in", "system, JACK", "--out", "system, JACK"),
        ("jackd", *_urgency(), *(("--sync",) if patient else ()), "-n", name)
        + ("-d", "dummy", "-r", str(RATE), "-p", str(period), "-C", str(channels), "-P", str(channels)),
        ("jack_lsp",),
    )
    yield from _running(server)


def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _urgency() -> tuple[str, ...]:
    """As on a stage, where the system allows it: a busy machine must not make the server itself late."""
    allowed = os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[1] != 0
    return ("--realtime", "--realtime-priority", "40") if allowed else ("--no-realtime",)


def _clean() -> dict[str, str]:
    """The environment without what points at a sound server of the machine's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "JACK_"))}


def wait_for(condition: object, seconds: float, else_say: str) -> None:
    """Until ``condition()`` is true. Raises TimeoutError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(else_say)
        time.sleep(0.1)
