"""Sound devices through PortAudio: what is there, and which one is meant. Knows names and numbers; opens nothing."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import difflib
import functools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from streamsep.errors import DeviceError

NO_PORTAUDIO = (
    "PortAudio is not installed, so there is no live sound: install libportaudio2 (Debian, Ubuntu) or portaudio "
    "(Fedora, Arch, Homebrew)."
)
_JACK_CLIENT = b"streamsep"


@dataclass(frozen=True)
class Device:
    """One device of one host API. ``latency``: what PortAudio promises at its low setting, seconds."""

    index: int
    name: str
    host: str
    inputs: int
    outputs: int
    rate: int
    in_latency: float
    out_latency: float
    default_in: bool
    default_out: bool

    @property
    def full_name(self) -> str:
        """With its host API: many devices are there under several."""
        return f"{self.name}, {self.host}"

    def channels(self, kind: str) -> int:
        """``kind``: input or output."""
        return self.inputs if kind == "input" else self.outputs


def portaudio() -> Any:
    """The module sounddevice. Raises DeviceError, naming the package, when it or PortAudio is missing."""
    try:
        return _load()
    except ImportError as error:
        raise DeviceError("the package sounddevice is not installed: pip install sounddevice.") from error
    except OSError as error:
        raise DeviceError(NO_PORTAUDIO) from error


@functools.lru_cache(maxsize=1)
def _load() -> Any:
    import sounddevice as sound

    with contextlib.suppress(AttributeError):  # a PortAudio without JACK
        # JACK's patch bays remember connections by a client's name; PortAudio calls every program "PortAudio".
        ctypes.CDLL(sound._libname).PaJack_SetClientName(_JACK_CLIENT)
        if any("JACK" in str(host["name"]) for host in sound.query_hostapis()):
            sound._terminate()
            sound._initialize()
    return sound


def rescan() -> None:
    """Let PortAudio look for devices anew: its list is that of the time when it was loaded."""
    sound = portaudio()
    with contextlib.suppress(sound.PortAudioError):
        sound._terminate()
    try:
        sound._initialize()
    except sound.PortAudioError as error:
        raise DeviceError(f"PortAudio does not start again: {error}.") from error


def forget_portaudio() -> None:
    """Let this process end without PortAudio's consent: it waits for what will not come."""
    atexit.unregister(portaudio()._exit_handler)


def devices_elsewhere() -> tuple[Device, ...]:
    """``list_devices`` of a process of its own, for one whose PortAudio is stuck. Raises DeviceError."""
    command = [sys.executable, "-m", "streamsep", "devices", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return tuple(Device(**device) for device in json.loads(done.stdout)["devices"])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DeviceError(f"the devices cannot be listed: {error}.") from error


def list_devices() -> tuple[Device, ...]:
    """All devices. Raises DeviceError when PortAudio is missing or fails."""
    sound = portaudio()
    try:
        hosts: Any = sound.query_hostapis()
        found: Any = sound.query_devices()
        default_in, default_out = sound.default.device
    except sound.PortAudioError as error:
        raise DeviceError(f"PortAudio cannot list its devices: {error}.") from error
    if default_in < 0 and default_out < 0 and hosts:
        default_in, default_out = hosts[0]["default_input_device"], hosts[0]["default_output_device"]
    return tuple(
        Device(
            index=index,
            name=str(raw["name"]),
            host=str(hosts[raw["hostapi"]]["name"]),
            inputs=int(raw["max_input_channels"]),
            outputs=int(raw["max_output_channels"]),
            rate=round(raw["default_samplerate"]),
            in_latency=float(raw["default_low_input_latency"]),
            out_latency=float(raw["default_low_output_latency"]),
            default_in=index == default_in,
            default_out=index == default_out,
        )
        for index, raw in enumerate(found)
    )


def find_device(wanted: str | None, kind: str, devices: tuple[Device, ...]) -> Device:
    """The device of ``kind`` (input or output) that ``wanted`` names: its index, ``name, host``, name, or a part of
    ``name, host``.

    The default one for None. Raises DeviceError, with the near matches, when there is none or more than one.
    """
    usable = [device for device in devices if device.channels(kind) > 0]
    if not usable:
        raise DeviceError(f"there is no {kind} device; plug one in, or start the sound server (streamsep devices).")
    if wanted is None:
        for device in usable:
            if device.default_in if kind == "input" else device.default_out:
                return device
        return usable[0]
    if wanted.strip().isdigit():
        return _by_index(int(wanted), kind, devices)
    text = wanted.strip().lower()
    for match in (
        [device for device in usable if device.full_name.lower() == text],
        [device for device in usable if device.name.lower() == text],
        [device for device in usable if text in device.full_name.lower()],
    ):
        if len(match) == 1:
            return match[0]
        if match:
            raise DeviceError(
                f"'{wanted}' fits several {kind} devices: {_names(match)}; write more of it, or an index."
            )
    names = {device.name.lower(): device for device in usable}
    near = [names[name] for name in difflib.get_close_matches(text, names, 3, 0.4)]
    raise DeviceError(
        f"there is no {kind} device '{wanted}'; {'near are' if near else 'there are'} {_names(near or usable)}."
    )


def find_again(lost: Device, wanted: str | None, kind: str, devices: tuple[Device, ...]) -> str:
    """What names ``lost``, found by ``wanted`` before, among the ``devices`` of now: its full name; of several with it,
    the index in its place; ``wanted`` where there is none, or for a default device (None) its own name without the
    numbers that ALSA may give another time. Raises DeviceError when ``wanted`` is an index.
    """
    same = [device.index for device in devices if device.full_name == lost.full_name and device.channels(kind)]
    if len(same) > 1:
        return str(lost.index if lost.index in same else same[0])
    if same:
        return lost.full_name
    if wanted is None:
        return re.sub(r" \(hw:\d+,\d+\)$", "", lost.name)
    if wanted.strip().isdigit():  # may mean any other device by now
        raise DeviceError(f"the {kind} '{lost.name}' is not back.")
    return wanted


def parse_channels(text: str | None, device: Device, kind: str) -> tuple[int, ...]:
    """``"3,4"`` → ``(2, 3)``; the first two, or the only one, for None. Raises DeviceError."""
    have = device.channels(kind)
    if text is None:
        return tuple(range(min(2, have)))
    try:
        channels = tuple(int(part) - 1 for part in text.split(","))
    except ValueError:
        channels = ()
    if len(channels) not in (1, 2):
        raise DeviceError(f"'{text}' names no channels; write one or two numbers from 1 on, such as 3,4.")
    if min(channels) < 0 or max(channels) >= have:
        raise DeviceError(f"'{device.name}' has {kind} channels 1 to {have}; {text} is not among them.")
    if kind == "output" and len(set(channels)) < len(channels):
        raise DeviceError(f"'{text}' is one {kind} channel twice; write two that differ, or one for left and right.")
    return channels


def _by_index(index: int, kind: str, devices: tuple[Device, ...]) -> Device:
    if index >= len(devices):
        raise DeviceError(f"there is no device {index}; the last one is {len(devices) - 1} (streamsep devices).")
    if devices[index].channels(kind) == 0:
        raise DeviceError(f"device {index}, '{devices[index].name}', has no {kind}; streamsep devices lists all.")
    return devices[index]


def _names(devices: list[Device]) -> str:
    shown = ", ".join(f"{device.index} '{device.name}' ({device.host})" for device in devices[:5])
    return shown + (f" and {len(devices) - 5} more" if len(devices) > 5 else "")
