"""MIDI through a real port: a fader box on a JACK server, found by its name and heard."""

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
