"""What a field may hold: types, ranges, sizes. Knows values; knows no message.

A check is called with the field's name and value and returns the value in the form that a message keeps: lists become
tuples, maps read-only. It raises ProtocolError with a sentence for anything else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


class ProtocolError(Exception):
    """A message that breaks the protocol. ``code`` is for programs, the text is one sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def bad(name: str, expected: str, value: object) -> ProtocolError:
    return ProtocolError("bad_message", f"'{name}' must be {expected}, not {_shown(value)}.")


@dataclass(frozen=True)
class Whole:
    """An integer from ``low`` to ``high``; a boolean is none."""

    low: int
    high: int

    def __call__(self, name: str, value: Any) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise bad(name, f"a whole number from {self.low} to {self.high}", value)
        return value


@dataclass(frozen=True)
class Real:
    """A finite number from ``low`` to ``high``."""

    low: float
    high: float

    def __call__(self, name: str, value: Any) -> float:
        if type(value) not in (int, float) or not math.isfinite(value) or not self.low <= value <= self.high:
            raise bad(name, f"a number from {self.low:g} to {self.high:g}", value)
        return float(value)


@dataclass(frozen=True)
class Text:
    """A string of at most ``most`` characters."""

    most: int

    def __call__(self, name: str, value: Any) -> str:
        if type(value) is not str or len(value) > self.most:
            raise bad(name, f"text of at most {self.most} characters", value)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise bad(name, "text that UTF-8 can hold", "a lone surrogate") from None
        return value


@dataclass(frozen=True)
class Blob:
    """Bytes, at most ``most``."""

    most: int

    def __call__(self, name: str, value: Any) -> bytes:
        if type(value) is not bytes or len(value) > self.most:
            raise bad(name, f"at most {self.most} bytes", value)
        return value


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def __call__(self, name: str, value: Any) -> bool:
        if type(value) is not bool:
            raise bad(name, "true or false", value)
        return value


class Choice:
    """One of some values."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def __call__(self, name: str, value: Any) -> str:
        if type(value) is not str or value not in self.values:
            raise bad(name, f"one of {', '.join(self.values)}", value)
        return value


@dataclass(frozen=True)
class Names:
    """A list of different names out of ``known``, at least ``least`` of them."""

    known: tuple[str, ...]
    least: int = 0

    def __call__(self, name: str, value: Any) -> tuple[str, ...]:
        expected = f"a list of different names out of {', '.join(self.known)}"
        if not isinstance(value, (list, tuple)) or not self.least <= len(value) <= len(self.known):
            raise bad(name, expected, value)
        if any(type(item) is not str or item not in self.known for item in value) or len(set(value)) < len(value):
            raise bad(name, expected, value)
        return tuple(value)


@dataclass(frozen=True)
class Table:
    """A map from names out of ``known`` to what ``each`` allows."""

    known: tuple[str, ...]
    each: Real | Blob

    def __call__(self, name: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping) or any(key not in self.known for key in value):
            raise bad(name, f"a map whose keys are out of {', '.join(self.known)}", value)
        return MappingProxyType({key: self.each(f"{name}.{key}", item) for key, item in value.items()})


Check = Whole | Real | Text | Blob | Flag | Choice | Names | Table


def _shown(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return f"a map of {len(value)}"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
