"""A sink named streamsep that players can send their sound to (PulseAudio, PipeWire). Knows pactl; knows no sound.

The sink is removed by a small watchdog process that notices, by a pipe that closes, that this one is gone: on any exit,
a kill included.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from types import TracebackType
from typing import Self

from streamsep.errors import DeviceError

SINK = "streamsep"
_WATCHDOG = 'cat >/dev/null; exec pactl unload-module "$0" 2>/dev/null'


class VirtualCable:
    """The sink while the context lasts. PortAudio streams that are opened within it, on the device ``input``,
    hear what is sent there. Raises DeviceError where there is no pactl or no sound server.
    """

    input = "pulse"

    def __init__(self) -> None:
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._before: str | None = None

    def __enter__(self) -> Self:
        if not sys.platform.startswith("linux"):
            raise DeviceError(
                "--virtual-cable is for Linux; elsewhere install a cable (BlackHole on macOS, VB-Cable on Windows) and "
                "name it with --in."
            )
        if shutil.which("pactl") is None:
            raise DeviceError("--virtual-cable needs pactl: install pulseaudio-utils.")
        if any(line.split("\t")[1:2] == [SINK] for line in _pactl("list", "short", "sinks").splitlines()):
            raise DeviceError(f"there is a sink '{SINK}' already; end the other streamsep live, or use --in.")
        module = _pactl(
            "load-module",
            "module-null-sink",
            f"sink_name={SINK}",
            "rate=48000",
            f"sink_properties=device.description={SINK}",
        ).strip()
        # A session of its own: Ctrl-C must not end it before us.
        self._watchdog = subprocess.Popen(
            ["sh", "-c", _WATCHDOG, module], stdin=subprocess.PIPE, start_new_session=True
        )
        self._before = os.environ.get("PULSE_SOURCE")
        os.environ["PULSE_SOURCE"] = f"{SINK}.monitor"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is None:
            os.environ.pop("PULSE_SOURCE", None)
        else:
            os.environ["PULSE_SOURCE"] = self._before
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):  # the server hangs; the watchdog waits for it alone
                self._watchdog.wait(10)
            self._watchdog = None


def _pactl(*arguments: str) -> str:
    try:
        result = subprocess.run(["pactl", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        raise DeviceError("the sound server does not answer pactl; start it anew.") from None
    if result.returncode:
        said = " ".join(result.stderr.split()) or "no answer"
        raise DeviceError(f"no PulseAudio or PipeWire server answers pactl ({said}); start one first.")
    return result.stdout
