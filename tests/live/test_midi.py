"""MIDI through a real port: a fader box on a JACK server, found by its name, heard, and heard again when it is back."""

from __future__ import annotations

import json
import sys

import pytest

from tests.live import sound_server

pytestmark = pytest.mark.skipif(bool(sound_server.missing(sound_server.JACK)), reason="JACK is not installed")

BOX = """
import json, time
import rtmidi
from streamsep.errors import DeviceError
from streamsep.live.gains import Gains
from streamsep.live.midi import MidiInput
from streamsep.live.remote import Remote

box = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="nanoBox")
box.open_virtual_port("faders")
gains, said = Gains("all"), []
with MidiInput("nanobox", Remote(gains), said.append):
    time.sleep(0.2)
    for message in ([0xB0, 0, 0], [0xB0, 49, 127], [0xB0, 34, 127], [0xC0, 100]):
        box.send_message(message)
    deadline = time.monotonic() + 10
    while not said and time.monotonic() < deadline:
        time.sleep(0.02)
try:
    MidiInput("organ", Remote(gains), said.append).__enter__()
except DeviceError as error:
    said.append(str(error))
print(json.dumps({"vocals": str(gains.gain["vocals"]), "mute": gains.mute, "solo": gains.solo, "said": said}))
"""

UNPLUGGED = """
import json, sys, time
import rtmidi
from streamsep.live.gains import Gains
from streamsep.live.midi import MidiInput
from streamsep.live.remote import Remote

def plugged():
    box = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="nanoBox")
    box.open_virtual_port("faders")
    return box

def until(come):
    deadline = time.monotonic() + 20
    while not come() and time.monotonic() < deadline:
        line = midi.check()
        said.extend([line] if line else [])
        time.sleep(0.05)

gains, said = Gains("all"), []
midi = MidiInput("nanobox", Remote(gains), said.append, patient=True)
with midi:
    for value in (127, 0):
        told = len(said)
        box = plugged()
        until(lambda: len(said) > told)
        box.send_message([0xB0, 0, value])
        until(lambda: gains.gain["vocals"] == (-float("inf") if value == 0 else 12))
        box.delete()
        until(lambda: len(said) > told + 1)
print(json.dumps({"vocals": str(gains.gain["vocals"]), "said": said}))
"""


def test_a_fader_box_that_comes_goes_and_comes_back() -> None:
    pytest.importorskip("rtmidi")
    with sound_server.jack() as server:
        done = server.run(sys.executable, "-c", UNPLUGGED)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    missing, *lines = told["said"]
    assert told["vocals"] == "-inf"
    assert "no MIDI input 'nanobox'" in missing
    gone = "the MIDI input 'nanoBox:faders' is gone; its controls work again when it is back."
    assert lines == ["the MIDI input 'nanoBox:faders' is back.", gone] * 2


def test_a_fader_box_on_jack() -> None:
    pytest.importorskip("rtmidi")
    with sound_server.jack() as server:
        done = server.run(sys.executable, "-c", BOX)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["vocals"] == "-inf"
    assert [stem for stem, on in told["mute"].items() if on] == ["drums"]
    assert [stem for stem, on in told["solo"].items() if on] == ["bass"]
    assert "no preset 100" in told["said"][0]
    assert "no MIDI input 'organ'" in told["said"][1] and "nanoBox:faders" in told["said"][1]
