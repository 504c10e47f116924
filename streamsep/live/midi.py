"""Remote control over MIDI: control changes and program changes. Knows messages; what they turn, ``remote`` knows.

The numbers are those of a Korg nanoKONTROL; ``--midi-cc`` gives a control another one.

    CC  0 …  3   faders of vocals, drums, bass, other         CC 32 … 35   solo, on from 64
    CC  7        dry/wet                                      CC 48 … 51   mute, on from 64
    program 0 …  presets
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any, Self

from streamsep.config import STEMS
from streamsep.errors import DeviceError, OptionError, StreamsepError
from streamsep.live.remote import Remote, check_control

NO_MIDI = "MIDI needs two more packages: pip install 'streamsep[midi]'."
NUMBERS: dict[int, str] = {
    **{index: f"fader/{stem}" for index, stem in enumerate(STEMS)},
    7: "drywet",
    **{32 + index: f"solo/{stem}" for index, stem in enumerate(STEMS)},
    **{48 + index: f"mute/{stem}" for index, stem in enumerate(STEMS)},
}


class MidiInput:
    """Listens while the context lasts, to the input whose name has ``name`` in it.

    Raises DeviceError when there is no such input, no MIDI, or no package for it.
    """

    def __init__(
        self, name: str, remote: Remote, tell: Callable[[str], None], numbers: dict[int, str] = NUMBERS
    ) -> None:
        self._name, self._remote, self._tell, self._numbers = name, remote, tell, numbers

    def __enter__(self) -> Self:
        inputs = _inputs()
        port = find_input(self._name, inputs)
        try:
            self._port = inputs[port].open_input(port, callback=self.received)
        except Exception as error:  # the drivers have no common one
            raise DeviceError(f"the MIDI input '{port}' cannot be opened: {error}.") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def received(self, message: Any) -> None:
        """A mido message. Those that no control has are ignored."""
        try:
            if message.type == "control_change" and message.control in self._numbers:
                self._remote.turn(self._numbers[message.control], message.value / 127)
            elif message.type == "program_change":
                self._remote.turn("preset", message.program)
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


def _inputs() -> dict[str, Any]:
    """Name of an input → the driver that has it: the system's own MIDI and, on Linux, a JACK server's. Raises
    DeviceError.
    """
    try:
        mido: Any = importlib.import_module("mido")
        rtmidi: Any = importlib.import_module("rtmidi")
    except ImportError as error:
        raise DeviceError(NO_MIDI) from error
    drivers: list[Any] = [mido]
    if {rtmidi.API_LINUX_ALSA, rtmidi.API_UNIX_JACK} <= set(rtmidi.get_compiled_api()):
        drivers.append(mido.Backend("mido.backends.rtmidi/UNIX_JACK"))
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for driver in drivers:
        try:
            found |= dict.fromkeys(driver.get_input_names(), driver)
        except Exception as error:  # the drivers have no common one
            wrong.append(str(error))
    if len(wrong) == len(drivers):
        raise DeviceError(f"there is no MIDI on this machine: {'; '.join(wrong)}.")
    return found
