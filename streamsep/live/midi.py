"""Remote control over MIDI: control changes and program changes. Knows messages; what they turn, ``remote`` knows.

The numbers are those of a Korg nanoKONTROL; ``--midi-cc`` gives a control another one.

    CC  0 …  3   faders of vocals, drums, bass, other         CC 32 … 35   solo, on from 64
    CC  7        dry/wet                                      CC 48 … 51   mute, on from 64
    program 0 …  presets
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from streamsep.config import STEMS
from streamsep.errors import DeviceError, OptionError, StreamsepError
from streamsep.live.remote import Remote, check_control

NO_MIDI = "MIDI needs one more package: pip install 'streamsep[midi]'."
_LOOK = 1.0  # seconds between two looks at what is plugged in
_CONTROL_CHANGE, _PROGRAM_CHANGE = 0xB0, 0xC0
NUMBERS: dict[int, str] = {
    **{index: f"fader/{stem}" for index, stem in enumerate(STEMS)},
    7: "drywet",
    **{32 + index: f"solo/{stem}" for index, stem in enumerate(STEMS)},
    **{48 + index: f"mute/{stem}" for index, stem in enumerate(STEMS)},
}


class MidiInput:
    """Listens while the context lasts, to the input whose name has ``name`` in it. ``check`` now and then: it notices
    an input that is gone, and listens to it again when it is back.

    ``patient``: waits for an input that is not there at the start, too. Raises DeviceError when there is no such input,
    no MIDI, or no package for it.
    """

    def __init__(
        self,
        name: str,
        remote: Remote,
        tell: Callable[[str], None],
        numbers: dict[int, str] = NUMBERS,
        patient: bool = False,
    ) -> None:
        self._name, self._remote, self._tell, self._numbers = name, remote, tell, numbers
        self._patient = patient
        self._clients: list[Any] = []
        self._heard: tuple[Any, str] | None = None  # the client and its port
        self._lost: str | None = None  # the port's name, without what may change
        self._next = 0.0

    def __enter__(self) -> Self:
        try:
            self._open()
        except DeviceError as error:
            if not self._patient:
                self.__exit__()
                raise
            self._tell(f"{error} Its controls work when it is there.")
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close_port()
            client.delete()
        self._clients, self._heard = [], None

    def check(self) -> str | None:
        """One line when the input went or came back."""
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + _LOOK
        if self._heard is None:
            try:
                return f"the MIDI input '{self._open()}' is back."
            except DeviceError:
                return None
        client, port = self._heard
        if port in _ports(client):
            return None
        client.close_port()
        self._heard, self._lost = None, _lasting(port)
        return f"the MIDI input '{port}' is gone; its controls work again when it is back."

    def _open(self) -> str:
        self._clients = self._clients or _clients()
        ports = {port: client for client in self._clients for port in _ports(client)}
        known = [port for port in ports if self._lost in (None, _lasting(port))]
        port = find_input(self._name, known)
        client = ports[port]
        try:
            client.open_port(client.get_ports().index(port), name="remote")
        except Exception as error:  # the drivers have no common one
            raise DeviceError(f"the MIDI input '{port}' cannot be opened: {error}.") from error
        client.set_callback(lambda event, _: self.received(event[0]))
        self._heard = client, port
        return port

    def received(self, message: Sequence[int]) -> None:
        """The bytes of a message. Those that no control has are ignored."""
        kind = message[0] & 0xF0  # of any channel
        try:
            if kind == _CONTROL_CHANGE and message[1] in self._numbers:
                self._remote.turn(self._numbers[message[1]], message[2] / 127)
            elif kind == _PROGRAM_CHANGE:
                self._remote.turn("preset", message[1])
        except StreamsepError as error:
            self._tell(f"MIDI: {error}")


def find_input(wanted: str, names: Iterable[str]) -> str:
    """The name that has ``wanted`` in it, in any case; an exact one goes before. Raises DeviceError."""
    names = list(names)
    found = [name for name in names if name.lower() == wanted.lower()]
    found = found or [name for name in names if wanted.lower() in name.lower()]
    if found:
        return found[0]
    there = f"there are {', '.join(names)}" if names else "there is none; plug one in"
    raise DeviceError(f"there is no MIDI input '{wanted}'; {there}.")


def parse_numbers(texts: Iterable[str]) -> dict[int, str]:
    """``["fader/vocals=21"]`` → the table with that. A control has one number. Raises OptionError."""
    numbers = dict(NUMBERS)
    for text in texts:
        control, _, number = text.partition("=")
        if not number.isdigit() or int(number) > 127:
            raise OptionError(f"--midi-cc '{text}' is none; write a control and a number, such as fader/vocals=21.")
        check_control(control)
        if control.startswith(("gain/", "preset")):
            raise OptionError(f"--midi-cc '{text}': a CC turns fader/STEM, mute/STEM, solo/STEM or drywet.")
        numbers = {known: other for known, other in numbers.items() if other != control} | {int(number): control}
    return numbers


def _clients() -> list[Any]:
    """One of the system's own MIDI and, on Linux, one of a JACK server's. Raises DeviceError when there is neither."""
    try:
        rtmidi: Any = importlib.import_module("rtmidi")
    except ImportError as error:
        raise DeviceError(NO_MIDI) from error
    kinds = [rtmidi.API_UNSPECIFIED]
    if {rtmidi.API_LINUX_ALSA, rtmidi.API_UNIX_JACK} <= set(rtmidi.get_compiled_api()):
        kinds.append(rtmidi.API_UNIX_JACK)
    found: list[Any] = []
    wrong: list[str] = []
    for kind in kinds:
        try:
            found.append(rtmidi.MidiIn(kind, name="streamsep"))
        except Exception as error:  # the drivers have no common one
            wrong.append(str(error))
    if not found:
        raise DeviceError(f"there is no MIDI on this machine: {'; '.join(wrong)}.")
    return found


def _ports(client: Any) -> list[str]:
    try:
        return client.get_ports()
    except Exception:  # of a server that died
        return []


def _lasting(port: str) -> str:
    """ALSA's names end in numbers that change when a device is plugged in again."""
    return re.sub(r" \d+:\d+$", "", port)
