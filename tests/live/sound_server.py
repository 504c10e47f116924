"""A PulseAudio server of a test's own, without a desktop or a sound card: two null sinks, linein and speakers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_ASOUND = "pcm.!default { type pulse }\nctl.!default { type pulse }\npcm.pulse { type pulse }\n"


def missing() -> str | None:
    """Why there can be no such server here; None when there can."""
    for program in ("pulseaudio", "pactl", "paplay", "parec"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        import sounddevice  # noqa: F401
    except OSError:
        return "PortAudio is not installed"
    return None


@contextlib.contextmanager
def pulse() -> Iterator[dict[str, str]]:
    """The environment in which the server is found, its linein as source and its speakers as sink."""
    with tempfile.TemporaryDirectory(prefix="pulse") as folder:
        home = Path(folder)
        (home / ".asoundrc").write_text(_ASOUND)
        env = os.environ | {
            "HOME": folder,
            "XDG_RUNTIME_DIR": folder,
            "PULSE_SOURCE": "linein.monitor",
            "PULSE_SINK": "speakers",
        }
        server = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no"),
                "--load=module-native-protocol-unix",
                "--load=module-null-sink sink_name=linein rate=48000",
                "--load=module-null-sink sink_name=speakers rate=48000",
            ],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 60
            while subprocess.run(["pactl", "info"], env=env, capture_output=True, check=False).returncode:
                if time.monotonic() > deadline:
                    raise TimeoutError("pulseaudio does not answer")
                time.sleep(0.2)
            yield env
        finally:
            server.terminate()
            server.wait(20)
