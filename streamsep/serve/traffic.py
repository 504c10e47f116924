"""What server and engine tell each other through the pipe. Knows no torch: the server's process never loads it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from streamsep.config import STEMS


@dataclass(frozen=True)
class Desk:
    """What leaves the session: which outputs, and the faders of ``mix``."""

    stems: tuple[str, ...] = STEMS
    gains: tuple[float, ...] = (1.0,) * len(STEMS)
    mute: tuple[str, ...] = ()
    solo: tuple[str, ...] = ()

    def levels(self) -> tuple[float, ...]:
        """Gain of each stem with mute and solo applied."""
        return tuple(
            0.0 if stem in self.mute or (self.solo and stem not in self.solo) else gain
            for stem, gain in zip(STEMS, self.gains, strict=True)
        )


@dataclass(frozen=True)
class Spec:
    """What a session is. ``start``: position of its first sample (not 0 when the engine was started again)."""

    rate: int
    channels: int
    format: str
    lookahead: int
    render: str
    live: bool
    start: int = 0
    desk: Desk = Desk()


@dataclass(frozen=True)
class Change:
    """What a ``set`` asks for; None leaves as it is."""

    position: int | None = None
    gains: Mapping[str, float] | None = None
    mute: tuple[str, ...] | None = None
    solo: tuple[str, ...] | None = None
    stems: tuple[str, ...] | None = None
    lookahead: int | None = None

    def on(self, desk: Desk) -> Desk:
        gains = dict(zip(STEMS, desk.gains, strict=True)) | dict(self.gains or {})
        return Desk(
            stems=desk.stems if self.stems is None else self.stems,
            gains=tuple(gains[stem] for stem in STEMS),
            mute=desk.mute if self.mute is None else self.mute,
            solo=desk.solo if self.solo is None else self.solo,
        )

    def then(self, later: Change) -> Change:
        """Both as one."""
        values = {each.name: getattr(later, each.name) for each in fields(later)}
        new = {name: value for name, value in values.items() if value is not None}
        if self.gains is not None and later.gains is not None:
            new["gains"] = {**self.gains, **later.gains}
        return replace(self, **new)


def in_order(changes: Sequence[Change], change: Change) -> list[Change]:
    """``changes`` by position with one more. Those from the same sample on become one, so that a fader that moves
    while no sound comes takes no room; a lookahead has a place of its own.
    """
    at = bisect_right(changes, change.position or 0, key=lambda each: each.position or 0)
    before, after = [*changes[:at]], changes[at:]
    if before and _together(before[-1], change):
        change = before.pop().then(change)
    return [*before, change, *after]


def _together(one: Change, other: Change) -> bool:
    return one.position == other.position and one.lookahead is None and other.lookahead is None


@dataclass(frozen=True)
class Sounded:
    """``count`` samples from ``position`` on: output → bytes."""

    position: int
    count: int
    data: Mapping[str, bytes]


@dataclass(frozen=True)
class Marked:
    id: int
    position: int


@dataclass(frozen=True)
class Flushed:
    position: int


@dataclass(frozen=True)
class Changed:
    """A change with the position from which it holds."""

    change: Change


@dataclass(frozen=True)
class Failed:
    """A session that the engine had to give up."""

    sentence: str


Event = Sounded | Marked | Flushed | Changed | Failed


@dataclass
class Round:
    """What one step did: ``seconds`` it took, ``batch`` sessions in it, and events by session."""

    seconds: float = 0.0
    batch: int = 0
    late: dict[str, int] = field(default_factory=dict)  # of each session, since it was opened
    fallbacks: dict[str, int] = field(default_factory=dict)
    events: dict[str, list[Event]] = field(default_factory=dict)


@dataclass(frozen=True)
class EngineOptions:
    """``sessions``: places, or 0 for as many as the measured frame time allows, at most ``most``."""

    model: str = "tiny"
    device: str = "cpu"
    decode: str = "fused"
    threads: int | None = None
    exact: bool = False
    hurry: bool = True
    sessions: int = 0
    most: int = 256


@dataclass(frozen=True)
class Started:
    """The engine is ready. ``frame_ms``: measured with 1, 2, 4, … sessions, only the first if the limit was given."""

    model: str
    limit: int
    frame_ms: tuple[float, ...]


@dataclass(frozen=True)
class Broken:
    """The engine cannot start, for a reason that the user can mend."""

    sentence: str
