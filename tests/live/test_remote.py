"""OSC over a real socket, MIDI as messages: the same faders, and one line for what cannot be understood."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator

import pytest
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from streamsep.errors import DeviceError, OptionError
from streamsep.live.gains import PRESETS, Gains
from streamsep.live.midi import MidiInput, find_input, parse_numbers
from streamsep.live.osc import OscInput, parse_where
from streamsep.live.remote import Remote, Value, fader_db
from tests.live.sound_server import wait_for


class Box:
    """A fader box: what it sends arrives in ``gains``, what was wrong in ``said``."""

    def __init__(self) -> None:
        from pythonosc.udp_client import SimpleUDPClient

        self.gains, self.said = Gains("all"), []
        self.input = OscInput(0, Remote(self.gains), self.said.append)
        self.input.__enter__()
        self.client = SimpleUDPClient("127.0.0.1", self.input.port)

    def send(self, address: str, *values: Value) -> None:
        self.client.send_message(address, list(values))


@pytest.fixture
def box() -> Iterator[Box]:
    box = Box()
    yield box
    box.input.__exit__()


def test_every_osc_address_turns_its_fader(box: Box) -> None:
    box.send("/streamsep/gain/vocals", -12.5)
    box.send("/streamsep/gain/other", -math.inf)
    box.send("/streamsep/fader/bass", 1.0)
    box.send("/streamsep/mute/drums", 1)
    box.send("/streamsep/solo/drums", True)
    box.send("/streamsep/drywet", 0.25)
    wait_for(lambda: box.gains.dry_wet == 0.25, 10, "nothing arrives")
    assert box.gains.gain == {"vocals": -12.5, "drums": 0.0, "bass": 12.0, "other": -math.inf}
    assert box.gains.mute["drums"] and box.gains.solo["drums"]
    box.send("/streamsep/preset", "karaoke")
    wait_for(lambda: box.gains.gain["vocals"] == -math.inf, 10, "no preset")
    assert not box.gains.mute["drums"]
    box.send("/streamsep/preset", list(PRESETS).index("drumless"))
    wait_for(lambda: box.gains.gain["drums"] == -math.inf, 10, "no preset")
    assert box.said == []


def test_osc_that_makes_no_sense_is_told_and_changes_nothing(box: Box) -> None:
    before = dict(box.gains.gain)
    wrong: list[tuple[str, tuple[Value, ...], str]] = [
        ("/streamsep/gain/voice", (0.0,), "no control 'gain/voice'"),
        ("/mixer/gain", (0.0,), "addresses begin with /streamsep/"),
        ("/streamsep/gain/vocals", (99.0,), "out of range"),
        ("/streamsep/gain/vocals", ("loud",), "'loud' is no number"),
        ("/streamsep/gain/vocals", (), "has one value"),
        ("/streamsep/fader/vocals", (1.5,), "give 0 to 1"),
        ("/streamsep/preset", ("karoke",), "did you mean karaoke?"),
        ("/streamsep/preset", (99,), "no preset 99"),
        ("/x\x1b]0;mine\x1b\\\nstreamsep: forged", (0.0,), "OSC /x?]0;mine?\\?streamsep: forged: addresses begin"),
    ]
    for number, (address, values, said) in enumerate(wrong, 1):
        box.send(address, *values)
        wait_for(lambda number=number: len(box.said) == number, 10, f"{address} {values} was not told")
        assert said in box.said[-1] and "\n" not in box.said[-1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.sendto(b"\xff garbage", ("127.0.0.1", box.input.port))
    box.send("/streamsep/gain/vocals", -3.0)
    wait_for(lambda: box.gains.gain["vocals"] == -3.0, 10, "garbage ended the listening")
    assert before | {"vocals": -3.0} == box.gains.gain


def test_a_bundle_for_later_is_for_now_and_stops_nothing(box: Box) -> None:
    bundle = OscBundleBuilder(time.time() + 30)  # the sender's clock runs ahead
    for stem in ("bass", "drums"):
        message = OscMessageBuilder(f"/streamsep/gain/{stem}")
        message.add_arg(-6.0)
        bundle.add_content(message.build())
    box.client.send(bundle.build())
    box.send("/streamsep/gain/vocals", -9.0)
    wait_for(lambda: box.gains.gain["vocals"] == -9.0, 10, "the bundle keeps all others waiting")
    assert box.gains.gain["bass"] == box.gains.gain["drums"] == -6.0 and box.said == []


BUNDLE = b"#bundle\0" + bytes(8)
PACKETS = {
    "an address that is no text": b"/streamsep/g\xff\xfe\0\0,f\0\0\0\0\0\0",
    "a bundle beyond its end": BUNDLE + b"\0\0\0\x64/a",
    "a bundle of less than nothing": BUNDLE + b"\xff\xff\xff\xfc",
}


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_a_damaged_packet_is_one_line(box: Box, packet: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.sendto(packet, ("127.0.0.1", box.input.port))
    box.send("/streamsep/gain/vocals", -3.0)
    wait_for(lambda: box.gains.gain["vocals"] == -3.0, 10, "the packet ended the listening")
    assert box.said == [f"OSC: a packet of {len(packet)} bytes is damaged or no OSC; it changes nothing."]
    assert capsys.readouterr().err == ""


def test_a_port_that_is_taken_or_none(box: Box) -> None:
    with pytest.raises(OptionError, match="choose another port"):
        OscInput(box.input.port, Remote(box.gains), print).__enter__()
    for text in ("x", "70000", ":9000", "-1"):
        with pytest.raises(OptionError, match="is no port"):
            parse_where(text)
    assert parse_where("0.0.0.0:9000") == ("0.0.0.0", 9000)


def test_midi_turns_the_same_faders() -> None:
    gains, said = Gains("all"), []
    midi = MidiInput("box", Remote(gains), said.append)
    for control, value in ((0, 0), (1, 127), (2, 95), (35, 127), (48, 64), (7, 127), (99, 5)):
        midi.received([0xB3, control, value])
    assert gains.gain == {"vocals": -math.inf, "drums": 12.0, "bass": 0.0, "other": 0.0}
    assert gains.solo["other"] and gains.mute["vocals"] and gains.dry_wet == 1
    midi.received([0x90, 60, 64])
    midi.received([0xC0, 0])
    assert gains.gain["vocals"] == -math.inf and not gains.solo["other"] and said == []
    midi.received([0xC0, 100])
    assert "no preset 100" in said[0]


def test_midi_numbers_and_names() -> None:
    numbers = parse_numbers(["fader/vocals=21", "drywet=0"])
    assert numbers[21] == "fader/vocals" and numbers[0] == "drywet" and 7 not in numbers
    for text, said in (("fader/vocals", "is none"), ("fader/piano=3", "no control"), ("drywet=128", "is none")):
        with pytest.raises(OptionError, match=said):
            parse_numbers([text])
    with pytest.raises(OptionError, match="a CC turns"):
        parse_numbers(["preset=3"])
    names = ["Midi Through 14:0", "nanoKONTROL2 20:0"]
    assert find_input("nanokontrol", names) == names[1]
    with pytest.raises(DeviceError, match="there are Midi Through"):
        find_input("Behringer", names)
    with pytest.raises(DeviceError, match="plug one in"):
        find_input("Behringer", [])


def test_a_fader_is_even_in_decibels_and_finds_unity() -> None:
    places = [fader_db(value / 127) for value in range(128)]
    assert places == sorted(places)
    assert places[0] == -math.inf and places[95] == 0 and places[127] == pytest.approx(12)
