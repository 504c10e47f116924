"""Two devices found and agreed upon: channels, rates, one clock or two. Knows devices; opens none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamsep.audio.files import MAX_RATE, MIN_RATE
from streamsep.config import SAMPLE_RATE
from streamsep.errors import DeviceError
from streamsep.live.core import Format
from streamsep.live.devices import Device, find_device, list_devices, parse_channels, portaudio


@dataclass(frozen=True)
class DeviceOptions:
    """``block`` in samples at 48 kHz; ``duplex`` None: by host API (JACK yes, others no)."""

    input: str | None = None
    output: str | None = None
    in_channels: str | None = None
    out_channels: str | None = None
    block: int = 960
    duplex: bool | None = None


@dataclass(frozen=True)
class Plan:
    """Two devices, found and agreed upon."""

    input: Device
    output: Device
    format: Format
    duplex: bool


def plan(options: DeviceOptions, devices: tuple[Device, ...] | None = None) -> Plan:
    """Find the devices. Raises DeviceError when one is unknown or cannot do what is asked."""
    devices = list_devices() if devices is None else devices
    source = find_device(options.input, "input", devices)
    target = find_device(options.output, "output", devices)
    duplex = options.duplex
    if duplex is None:
        duplex = source.host == target.host and (
            "JACK" in source.host or source.index == target.index and _full(source)
        )
    for device in (source, target):
        if not MIN_RATE <= device.rate <= MAX_RATE:
            raise DeviceError(f"'{device.name}' runs at {device.rate} Hz; streamsep takes {MIN_RATE} to {MAX_RATE} Hz.")
    out_rate = source.rate if duplex else target.rate
    format = Format(
        in_rate=source.rate,
        out_rate=out_rate,
        in_channels=parse_channels(options.in_channels, source, "input"),
        out_channels=parse_channels(options.out_channels, target, "output"),
        block=round(options.block * out_rate / SAMPLE_RATE),
        one_clock=duplex,
    )
    return Plan(source, target, format, duplex)


def model_rates(devices: tuple[Device, ...]) -> tuple[Device, ...]:
    """The devices, at 48 kHz instead of their default rate where both directions do it: no resampling is better."""
    sound = portaudio()

    def runs(device: Device) -> bool:
        try:
            if device.inputs:
                sound.check_input_settings(device.index, min(2, device.inputs), "float32", samplerate=SAMPLE_RATE)
            if device.outputs:
                sound.check_output_settings(device.index, min(2, device.outputs), "float32", samplerate=SAMPLE_RATE)
        except (sound.PortAudioError, ValueError):
            return False
        return True

    return tuple(
        replace(device, rate=SAMPLE_RATE) if device.rate != SAMPLE_RATE and runs(device) else device
        for device in devices
    )


def explain(text: str, plan: Plan) -> str:
    pair = f"'{plan.input.name}' to '{plan.output.name}'"
    lower = text.lower()
    if "sample rate" in lower:
        return f"{pair} do not run at {plan.format.in_rate} and {plan.format.out_rate} Hz; choose another device."
    if "unavailable" in lower or "busy" in lower:
        return f"{pair}: a device is busy or gone; close the program that uses it, or choose another one."
    if "permission" in lower or "unanticipated host error" in lower or "access" in lower:
        return f"{pair}: the system refuses the sound; allow the microphone, or join the group audio ({text})."
    if "channel" in lower:
        return f"{pair} do not have these channels; see streamsep devices."
    return f"{pair} cannot be opened: {text}."


def _full(device: Device) -> bool:
    """A device whose two directions work in one stream; ALSA's bridge to PulseAudio stalls there."""
    return device.name.lower() not in ("pulse", "default", "pipewire") and "ALSA" not in device.host
