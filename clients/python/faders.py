"""Faders as people write them: ``vocals -12``, ``mute drums``, ``solo bass``. Knows words; knows no server."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from clients.python.errors import ClientError
from streamsep.protocol import OUTPUTS
from streamsep.protocol.messages import MAX_GAIN

STEMS = OUTPUTS[:-1]
HELP = "Type 'vocals -12' (dB, or off), 'mute drums', 'solo bass', 'reset' or 'quit', and Enter."


@dataclass
class Faders:
    """Gains in dB, None for off."""

    gains: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(STEMS, 0.0))
    mute: set[str] = field(default_factory=set)
    solo: set[str] = field(default_factory=set)

    def order(self, line: str) -> None:
        """Do what a line says. Raises ClientError with a sentence when it cannot be understood."""
        words = line.replace("=", " ").lower().split()
        if words == ["reset"]:
            self.gains, self.mute, self.solo = dict.fromkeys(STEMS, 0.0), set(), set()
        elif len(words) == 2 and words[0] in STEMS:
            self.gains[words[0]] = _decibels(words[1])
        elif len(words) == 2 and words[0] in ("mute", "solo"):
            buttons = self.mute if words[0] == "mute" else self.solo
            buttons ^= {_stem(words[1])}
        else:
            raise ClientError(f"'{line.strip()}' is no fader. {HELP}")

    def changes(self) -> dict[str, Any]:
        """What ``Session.set`` takes."""
        gains = {stem: 0.0 if db is None else 10 ** (db / 20) for stem, db in self.gains.items()}
        return {"gains": gains, "mute": _ordered(self.mute), "solo": _ordered(self.solo)}

    def __str__(self) -> str:
        words = []
        for stem, db in self.gains.items():
            level = "off" if db is None else f"{db:+.1f} dB"
            buttons = " (mute)" * (stem in self.mute) + " (solo)" * (stem in self.solo)
            words.append(f"{stem} {level}{buttons}")
        return ", ".join(words)


def _stem(name: str) -> str:
    if name not in STEMS:
        raise ClientError(f"there is no stem '{name}'; there are {', '.join(STEMS)}.")
    return name


def _decibels(word: str) -> float | None:
    if word == "off":
        return None
    try:
        value = float(word.removesuffix("db"))
    except ValueError:
        value = float("nan")
    if not -120 <= value <= 20 * math.log10(MAX_GAIN):
        raise ClientError(f"'{word}' is no level; give decibels from -120 to +18, or off.")
    return value


def _ordered(names: set[str]) -> tuple[str, ...]:
    return tuple(stem for stem in STEMS if stem in names)
