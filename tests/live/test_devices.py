"""Devices by name, part of a name, index; what is said when there is none. And the plan of two streams."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from streamsep.errors import DeviceError
from streamsep.live import streams
from streamsep.live.core import Core, ModelOptions
from streamsep.live.devices import Device, find_again, find_device, parse_channels, portaudio
from streamsep.live.gains import Gains
from streamsep.live.plan import DeviceOptions, explain, plan
from streamsep.live.streams import Streams


def device(index: int, name: str, host: str = "ALSA", inputs: int = 2, outputs: int = 2, **more: object) -> Device:
    values: dict[str, object] = {"rate": 48_000, "in_latency": 0.01, "out_latency": 0.01}
    values |= {"default_in": False, "default_out": False} | more
    return Device(index, name, host, inputs, outputs, **values)  # pyright: ignore[reportArgumentType]


DEVICES = (
    device(0, "USB Audio CODEC", inputs=8, outputs=0, rate=44_100),
    device(1, "HDMI 0", inputs=0),
    device(2, "HDMI 1", inputs=0, default_out=True),
    device(3, "pulse", default_in=True),
    device(4, "system", "JACK Audio Connection Kit"),
)


def test_names_parts_and_indices() -> None:
    assert find_device("USB Audio CODEC", "input", DEVICES).index == 0
    assert find_device("usb", "input", DEVICES).index == 0
    assert find_device("jack", "output", DEVICES).index == 4
    assert find_device("1", "output", DEVICES).index == 1
    assert find_device(None, "input", DEVICES).index == 3
    assert find_device(None, "output", DEVICES).index == 2


@pytest.mark.parametrize(
    ("wanted", "kind", "said"),
    [
        ("HDMI", "output", "fits several output devices: 1 'HDMI 0' .*2 'HDMI 1'"),
        ("USB Adio", "input", "near are 0 'USB Audio CODEC'"),
        ("zzz", "input", "there are 0 'USB Audio CODEC'"),
        ("9", "input", "there is no device 9"),
        ("1", "input", "'HDMI 0', has no input"),
        ("usb", "output", "no output device 'usb'"),
    ],
)
def test_devices_that_are_not_there(wanted: str, kind: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said) as caught:
        find_device(wanted, kind, DEVICES)
    assert str(caught.value).count("\n") == 0


MICS = (device(0, "Mic", "MME"), device(1, "Mic", "Windows WASAPI"), device(2, "Mic", "Windows WASAPI 2"))


def test_a_full_name_goes_before_a_part_of_one() -> None:
    assert find_device("mic, windows wasapi", "input", MICS).index == 1
    with pytest.raises(DeviceError, match="fits several"):
        find_device("mic", "input", MICS)


def test_a_device_is_found_again_wherever_it_is_by_now() -> None:
    lost = MICS[1]
    assert find_again(lost, "1", "input", (MICS[2], MICS[0], lost)) == "Mic, Windows WASAPI"
    twins = (device(3, "Mic", "Windows WASAPI"), device(1, "Mic", "Windows WASAPI"))
    assert find_again(lost, "Mic, Windows", "input", twins) == "1"
    assert find_again(lost, "Mic, Windows", "input", (twins[0], device(5, "Mic", "Windows WASAPI"))) == "3"
    # Its name has changed: the user's words may still fit, an index may mean any other device.
    assert find_again(lost, "wasapi", "input", (MICS[2],)) == "wasapi"
    with pytest.raises(DeviceError, match="not back"):
        find_again(lost, "1", "input", (MICS[2],))
    box = device(4, "USB Box: Audio (hw:2,0)", "ALSA")
    assert find_again(box, None, "input", (device(1, "USB Box: Audio (hw:1,0)", "ALSA"),)) == "USB Box: Audio"


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """The devices that PortAudio sees."""
    there = list(MICS)
    monkeypatch.setattr(streams, "list_devices", lambda: tuple(there))
    monkeypatch.setattr(streams, "model_rates", lambda devices: devices)
    monkeypatch.setattr(streams, "rescan", lambda: None)
    return there


class Stream:
    """A stream of PortAudio's, as far as it is watched and closed."""

    def __init__(self, lost: bool = False) -> None:
        self.lost, self.closed = lost, False

    @property
    def active(self) -> bool:
        if self.lost:
            raise portaudio().PortAudioError("Error checking stream: PortAudio not initialized", -10_000)
        return not self.closed

    def abort(self, ignore_errors: bool) -> None: ...

    def close(self, ignore_errors: bool) -> None:
        self.closed = True


def test_a_stream_that_portaudio_has_forgotten_is_gone(there: list[Device]) -> None:
    with Core(ModelOptions(), Gains()) as core:
        shown = Streams(core, DeviceOptions(input="1"))
        shown._streams, shown._seen_at = [Stream(lost=True)], time.monotonic()
        assert "is gone; the sound goes on when it is back" in str(shown.check())
        assert shown.paused


@pytest.mark.parametrize("opening", [False, True])
def test_a_device_that_comes_back_while_all_ends_stays_closed(
    there: list[Device], monkeypatch: pytest.MonkeyPatch, opening: bool
) -> None:
    opened: list[Stream] = []

    def open(streams: Streams) -> None:
        if opening:
            streams.end()
        opened.append(Stream())
        streams._streams = list(opened)

    with Core(ModelOptions(), Gains()) as core:
        shown = Streams(core, DeviceOptions(input="1"))
        monkeypatch.setattr(Streams, "open", open)
        monkeypatch.setattr(streams, "rescan", lambda: None if opening else shown.end())
        shown.paused = True
        assert shown.check() is None
        assert len(opened) == int(opening) and all(stream.closed for stream in opened)


def test_an_ambiguous_name_resumes(there: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Streams, "open", lambda self: None)
    with Core(ModelOptions(), Gains()) as core:
        shown = Streams(core, DeviceOptions(input="1"))
        del there[1]
        shown.paused = True
        assert shown.check() is None
        there.insert(0, device(0, "Mic", "Windows WASAPI"))
        shown._tried_at = 0.0
        assert "resumed: 'Mic'" in str(shown.check())
        assert shown.plan.input == there[0]


def test_a_default_device_is_waited_for(there: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Streams, "open", lambda self: None)
    box = replace(device(1, "USB box", "Core Audio", outputs=2), default_in=True, default_out=True)
    built_in = device(0, "Built-in", "Core Audio", outputs=2)
    there[:] = [built_in, box]
    with Core(ModelOptions(), Gains()) as core:
        shown = Streams(core, DeviceOptions())
        shown.paused = True
        there[:] = [replace(built_in, default_in=True, default_out=True)]  # as systems choose another
        assert shown.check() is None and shown.paused
        there.append(replace(box, default_in=False, default_out=False))
        shown._tried_at = 0.0
        assert shown.check() == "resumed: 'USB box' to 'USB box'."


def test_no_device_at_all() -> None:
    with pytest.raises(DeviceError, match="there is no input device"):
        find_device(None, "input", ())


def test_channels() -> None:
    assert parse_channels(None, DEVICES[0], "input") == (0, 1)
    assert parse_channels("3,4", DEVICES[0], "input") == (2, 3)
    assert parse_channels("8", DEVICES[0], "input") == (7,)
    assert parse_channels(None, device(0, "mic", inputs=1), "input") == (0,)
    for text, said in (("9", "channels 1 to 8"), ("0,1", "channels 1 to 8"), ("a", "names no"), ("1,2,3", "names no")):
        with pytest.raises(DeviceError, match=said):
            parse_channels(text, DEVICES[0], "input")
    assert parse_channels("1,1", DEVICES[0], "input") == (0, 0)
    with pytest.raises(DeviceError, match="one output channel twice"):
        parse_channels("1,1", DEVICES[1], "output")


def test_two_devices_are_two_clocks_and_jack_is_one() -> None:
    two = plan(DeviceOptions("usb", "HDMI 1", in_channels="3,4"), DEVICES)
    assert (two.duplex, two.format.one_clock, two.format.in_rate, two.format.out_rate) == (False, False, 44_100, 48_000)
    assert two.format.in_channels == (2, 3)
    one = plan(DeviceOptions("jack", "jack", block=256), DEVICES)
    assert (one.duplex, one.format.one_clock, one.format.block) == (True, True, 256)
    assert not plan(DeviceOptions("pulse", "pulse"), DEVICES).duplex
    with pytest.raises(DeviceError, match="384000 Hz"):
        plan(DeviceOptions("fast"), (*DEVICES, device(5, "fast", rate=384_000)))


def test_without_portaudio_the_package_is_named() -> None:
    """In a process of its own, where the library is not found."""
    program = (
        "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
        "from streamsep.cli import main; main(['devices'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "PortAudio is not installed" in done.stderr and "libportaudio2" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Error opening Stream: Device unavailable [PaErrorCode -9985]", "a device is busy or gone"),
        ("Error opening InputStream: Invalid sample rate [PaErrorCode -9997]", "do not run at 44100 and 48000 Hz"),
        (
            "Error opening Stream: Unanticipated host error [PaErrorCode -9999]: Permission denied",
            "allow the microphone",
        ),
        ("Error opening Stream: Invalid number of channels [PaErrorCode -9998]", "do not have these channels"),
        ("Error opening Stream: something else", "cannot be opened: Error opening Stream: something else"),
    ],
)
def test_why_a_device_does_not_open(text: str, said: str) -> None:
    line = explain(text, plan(DeviceOptions("usb", "HDMI 1"), DEVICES))
    assert said in line and "'USB Audio CODEC'" in line and "\n" not in line
