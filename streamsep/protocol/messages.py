"""Every message as a frozen dataclass that cannot hold a wrong value. Knows fields; knows nothing of bytes.

A field's check stands in its annotation and runs whenever a message is made, by whichever side. A field whose default
is None may be left out. Positions count samples of one channel at the session's rate from the session's beginning.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_type_hints

from streamsep.choices import RENDERS
from streamsep.config import LOOKAHEADS, STEMS
from streamsep.protocol.checks import Blob, Check, Choice, Flag, Names, ProtocolError, Real, Table, Text, Whole
from streamsep.protocol.opus import LONGEST, OPUS_RATE

VERSION = 1
OPUS = "opus"
FORMATS: tuple[str, ...] = ("s16le", "f32le", OPUS)
MIX = "mix"  # all stems, each times its gain
OUTPUTS: tuple[str, ...] = (*STEMS, MIX)
MIN_RATE, MAX_RATE = 8_000, 192_000
MAX_AUDIO = 1 << 20  # bytes of sound in one audio message, and of one stem in a stems message
MAX_GAIN = 8.0
MAX_TOKEN, MAX_NAME = 512, 80  # characters

_POSITION = Whole(0, 1 << 53)  # what a double counts exactly: browsers have nothing else
_ID = Whole(0, (1 << 32) - 1)

Position = Annotated[int, _POSITION]
MaybePosition = Annotated[int | None, _POSITION]


class Message:
    """Base of all messages: checks its fields when made, raising ProtocolError."""

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for name, (check, optional) in fields_of(type(self)).items():
            value = getattr(self, name)
            if not (optional and value is None):
                object.__setattr__(self, name, check(f"{self.kind}.{name}", value))


@functools.cache
def fields_of(kind: type[Message]) -> dict[str, tuple[Check, bool]]:
    """Field name → (check, whether it may be None)."""
    hints = get_type_hints(kind, include_extras=True)
    fields = dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
    return {field.name: (hints[field.name].__metadata__[0], field.default is None) for field in fields}


@dataclass(frozen=True)
class Hello(Message):
    """First message of a client. ``live``: sound that cannot wait (see flow control); ``resume``: key of a session to
    go on with, ``received``: stems' position up to which the client has them.
    """

    kind: ClassVar[str] = "hello"
    version: Annotated[int, Whole(0, 1 << 31)]
    rate: Annotated[int, Whole(MIN_RATE, MAX_RATE)]
    channels: Annotated[int, Whole(1, 2)]
    format: Annotated[str, Choice(*FORMATS)] = "f32le"
    stems: Annotated[tuple[str, ...], Names(OUTPUTS, 1)] = STEMS
    lookahead: Annotated[int, Whole(min(LOOKAHEADS), max(LOOKAHEADS))] = 0
    render: Annotated[str, Choice(*RENDERS)] = "mask"
    live: Annotated[bool, Flag()] = True
    token: Annotated[str | None, Text(MAX_TOKEN)] = None
    resume: Annotated[str | None, Text(128)] = None
    received: MaybePosition = None
    client: Annotated[str | None, Text(MAX_NAME)] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format == OPUS and self.rate != OPUS_RATE:
            raise ProtocolError("bad_message", f"'hello.rate' must be {OPUS_RATE} for Opus, not {self.rate}.")


@dataclass(frozen=True)
class Ready(Message):
    """The server's answer. ``position``: the next input sample it expects; ``sent``: where stems go on; ``frame`` and
    ``latency`` in samples at the session's rate; ``window``: samples that may be on their way unanswered; ``lost``:
    stems that a resumed session cannot send again.
    """

    kind: ClassVar[str] = "ready"
    version: Annotated[int, Whole(0, 1 << 31)]
    session: Annotated[str, Text(64)]
    resume: Annotated[str, Text(128)]
    position: Position
    sent: Position
    frame: Position
    latency: Position
    window: Position
    model: Annotated[str, Text(MAX_NAME)]
    resumed: Annotated[bool, Flag()] = False
    lost: Position = 0


@dataclass(frozen=True)
class Audio(Message):
    """Mixture: interleaved samples in the session's format, or one Opus packet, whose first ``count`` samples count."""

    kind: ClassVar[str] = "audio"
    seq: Position
    position: Position
    data: Annotated[bytes, Blob(MAX_AUDIO)]
    count: Annotated[int | None, Whole(0, LONGEST)] = None


@dataclass(frozen=True)
class Stems(Message):
    """``count`` samples of every output asked for (of Opus one packet each, whose first ``count`` samples count);
    ``dropped``: samples dropped in the session so far.
    """

    kind: ClassVar[str] = "stems"
    seq: Position
    position: Position
    count: Position
    data: Annotated[Mapping[str, bytes], Table(OUTPUTS, Blob(MAX_AUDIO))]
    dropped: Position = 0


@dataclass(frozen=True)
class Ack(Message):
    """The client has all stems before ``position``: they need not be kept for a resume."""

    kind: ClassVar[str] = "ack"
    position: Position


@dataclass(frozen=True)
class Set(Message):
    """Change from sample ``position`` on (from the next one when None or past). The server echoes it with the position
    where it holds. ``gains``, ``mute`` and ``solo`` shape the output ``mix``; ``solo`` [] ends a solo.
    """

    kind: ClassVar[str] = "set"
    position: MaybePosition = None
    gains: Annotated[Mapping[str, float] | None, Table(STEMS, Real(0, MAX_GAIN))] = None
    mute: Annotated[tuple[str, ...] | None, Names(STEMS)] = None
    solo: Annotated[tuple[str, ...] | None, Names(STEMS)] = None
    stems: Annotated[tuple[str, ...] | None, Names(OUTPUTS, 1)] = None
    lookahead: Annotated[int | None, Whole(min(LOOKAHEADS), max(LOOKAHEADS))] = None


@dataclass(frozen=True)
class Mark(Message):
    """Asked: tell me when this is done. Answered, with the position, when all stems of the sound before it are sent."""

    kind: ClassVar[str] = "mark"
    id: Annotated[int, _ID]
    position: MaybePosition = None


@dataclass(frozen=True)
class Flush(Message):
    """Asked: the song ends here. Answered, with the position, after its last stem; then a new song may begin."""

    kind: ClassVar[str] = "flush"
    position: MaybePosition = None


@dataclass(frozen=True)
class Stats(Message):
    """Asked with no field; answered with all of them. ``queue``: input samples not answered yet."""

    kind: ClassVar[str] = "stats"
    received: MaybePosition = None
    sent: MaybePosition = None
    queue: MaybePosition = None
    dropped: MaybePosition = None
    late: MaybePosition = None
    fallbacks: MaybePosition = None
    restarts: MaybePosition = None
    frame_ms: Annotated[float | None, Real(0, 1e9)] = None
    sessions: MaybePosition = None
    limit: MaybePosition = None


@dataclass(frozen=True)
class Ping(Message):
    kind: ClassVar[str] = "ping"
    id: Annotated[int, _ID]


@dataclass(frozen=True)
class Pong(Message):
    kind: ClassVar[str] = "pong"
    id: Annotated[int, _ID]


@dataclass(frozen=True)
class Error(Message):
    """``code`` for programs, ``sentence`` for people; after a ``fatal`` one the connection closes. ``retry_after``:
    seconds after which to try again; ``position`` and ``lost``: where and how many samples are gone.
    """

    kind: ClassVar[str] = "error"
    code: Annotated[str, Text(40)]
    sentence: Annotated[str, Text(500)]
    fatal: Annotated[bool, Flag()]
    retry_after: Annotated[float | None, Real(0, 86_400)] = None
    position: MaybePosition = None
    lost: MaybePosition = None


@dataclass(frozen=True)
class Bye(Message):
    """The end: a client's session is free at once. A server that leaves says why by an error."""

    kind: ClassVar[str] = "bye"
    reason: Annotated[str, Text(200)] = ""


@dataclass(frozen=True)
class Unknown(Message):
    """A kind of a later version: to be ignored."""

    kind: ClassVar[str] = "?"
    name: Annotated[str, Text(40)]


KINDS: dict[str, type[Message]] = {
    kind.kind: kind for kind in (Hello, Ready, Audio, Stems, Ack, Set, Mark, Flush, Stats, Ping, Pong, Error, Bye)
}


def to_map(message: Message) -> dict[str, Any]:
    """The message as the map that travels; fields that are None are left out."""
    out: dict[str, Any] = {"kind": message.kind}
    for name in fields_of(type(message)):
        value = getattr(message, name)
        if value is not None:
            out[name] = _plain(value)
    return out


def from_map(raw: Mapping[Any, Any]) -> Message:
    """The message that a map means; Unknown for an unknown kind. Raises ProtocolError."""
    name = raw.get("kind")
    if type(name) is not str or len(name) > 40:
        raise ProtocolError("bad_message", "a message must be a map with its 'kind' as a short text.")
    kind = KINDS.get(name)
    if kind is None:
        return Unknown(name)
    if kind is Hello and type(raw.get("version")) is int and raw["version"] != VERSION:
        raise ProtocolError("version", f"protocol version {raw['version']} is unknown; this side speaks {VERSION}.")
    given = {field: raw[field] for field in fields_of(kind) if field in raw}
    for field in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        if field.default is dataclasses.MISSING and field.name not in given:
            raise ProtocolError("bad_message", f"'{name}.{field.name}' is missing.")
    return kind(**given)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
