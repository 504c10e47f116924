"""What a fader box may turn, by name: the one table that OSC and MIDI share. Knows gains; knows no wire.

gain/STEM     decibels, -inf … 12             fader/STEM   0 … 1: off at 0, 0 dB at 0.75, +12 dB at 1
mute/STEM     0 or 1                          solo/STEM    0 or 1
drywet        0 (the input) … 1 (the stems)   preset       its name, or its number from 0
"""

from __future__ import annotations

import math

from streamsep.config import STEMS
from streamsep.errors import OptionError
from streamsep.live.gains import MAX_DB, PRESETS, Gains

Value = float | int | str | bool
UNITY = 0.75  # place of 0 dB on a fader
_BOTTOM = -60.0  # dB just above 0
_SNAP = 0.4  # dB: no place of a seven-bit fader is exactly 0 dB
CONTROLS = tuple(f"{kind}/{stem}" for kind in ("gain", "fader", "mute", "solo") for stem in STEMS) + (
    "drywet",
    "preset",
)


class Remote:
    """``turn`` a control of the table. Any thread may call it."""

    def __init__(self, gains: Gains) -> None:
        self._gains = gains

    def turn(self, control: str, value: Value) -> None:
        """Raises OptionError for an unknown control, or a value that it does not take."""
        check_control(control)
        kind, _, stem = control.partition("/")
        if kind == "preset":
            self._gains.preset(_preset(value))
            return
        number = _number(control, value)
        match kind:
            case "gain":
                self._gains.set_gain(stem, number)
            case "fader":
                self._gains.set_gain(stem, fader_db(number))
            case "mute":
                self._gains.set_mute(stem, number >= 0.5)
            case "solo":
                self._gains.set_solo(stem, number >= 0.5)
            case _:
                self._gains.set_dry_wet(number)


def check_control(control: str) -> None:
    if control not in CONTROLS:
        raise OptionError(f"there is no control '{control}'; there are {', '.join(CONTROLS)}.")


def fader_db(place: float) -> float:
    """Place of a fader, 0 … 1 → decibels. Raises OptionError outside."""
    if not 0 <= place <= 1:
        raise OptionError(f"a fader at {place:g} is out of range; give 0 to 1.")
    if place == 0:
        return -math.inf
    db = _BOTTOM * (1 - place / UNITY) if place < UNITY else MAX_DB * (place - UNITY) / (1 - UNITY)
    return 0.0 if abs(db) < _SNAP else db


def _number(control: str, value: Value) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise OptionError(f"'{value}' is no number, and {control} takes one.")
    return number


def _preset(value: Value) -> str:
    if isinstance(value, str):
        return value.lower()
    names = list(PRESETS)
    if not 0 <= value < len(names):
        raise OptionError(f"there is no preset {value:g}; they are numbered 0 to {len(names) - 1}: {', '.join(names)}.")
    return names[int(value)]
