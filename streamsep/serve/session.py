"""One session as the server keeps it: positions, unanswered sound, waiting stems. Outlives connections and engines.

Knows the engine by what it is sent; knows nothing of sockets. Sound is kept until its stems are back, so that a new
engine can be told all that the old one had not answered.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streamsep.engine.clock import Clock, in_hops
from streamsep.protocol import (
    Audio,
    Error,
    Flush,
    Hello,
    Mark,
    Message,
    ProtocolError,
    Set,
    Stats,
    raw_format,
    sample_count,
)
from streamsep.serve.outbox import Chunk, Outbox
from streamsep.serve.traffic import Change, Changed, Desk, Event, Failed, Flushed, Marked, Sounded, Spec, in_order

WINDOW = 2.0  # seconds of sound that may be unanswered
GAP = 1.0  # seconds of missing sound that silence may stand in for
AHEAD = 3_600.0  # seconds past the sound that was heard for which a change may be asked
MOST_ASKED = 1_000  # marks, flushes and changes that may wait for their sound
HOLD = 1.0  # seconds for which a live session's sound is left unread before its oldest stems are dropped

Send = Callable[..., None]  # (command, session, *values) to the engine


def home_of(key: str) -> str:
    """Which server gave the key, or nothing."""
    return key.partition(".")[2]


class SessionError(Exception):
    """The session cannot go on. ``code`` as in the protocol."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Session:
    """``received``: position of the next sample from the client; ``answered``: of the next from the engine."""

    def __init__(self, hello: Hello, send: Send, home: str = "") -> None:
        self.id, self._home = secrets.token_hex(8), home
        self.renew_key()
        self._told: dict[str, int] = {}  # by the engine that there is now, of late frames and fallbacks
        self.hello, self.rate, self.live = hello, hello.rate, hello.live
        self.format = raw_format(hello.format)
        self._look(hello.lookahead)
        self.window = round(WINDOW * hello.rate) + self.latency
        self.outbox = Outbox(hello.rate, hello.live)
        self.received = self.answered = self.late = self.fallbacks = 0
        self.failed: str | None = None
        self._held = False  # whether a slow reader has been waited for in vain
        self.seq = 0  # of the next stems message
        self._send = send
        self._desk = Desk(hello.stems)
        self._sound: deque[tuple[int, bytes | int]] = deque()  # (position, sound or length of a silence), unanswered
        self._asked: deque[tuple[int, str, tuple[Any, ...]]] = deque()  # (position, command, values), unanswered
        self._changes: list[Change] = []  # that hold later than ``answered``
        self._moved = asyncio.Event()
        self._tell_engine()

    @property
    def queue(self) -> int:
        """Samples that the engine has not answered."""
        return self.received - self.answered

    @property
    def quiet(self) -> bool:
        """Whether all that can be told without more sound has been sent."""
        flushing = any(command == "flush" for _, command, _ in self._asked)
        return self.outbox.idle and not flushing and self.queue <= self.latency

    def renew_key(self, used: str | None = None) -> None:
        """Each key works once; but ``used`` until the client has shown that it was told the new one."""
        self.key, self._used = secrets.token_urlsafe(24) + (f".{self._home}" if self._home else ""), used

    def met(self) -> None:
        """The client speaks, so it was told its key."""
        self._used = None

    def opens(self, key: str) -> bool:
        """Whether ``key`` lets a client come back."""
        return any(hmac.compare_digest(mine.encode(), key.encode()) for mine in (self.key, self._used) if mine)

    # From the client.

    def audio(self, message: Audio) -> None:
        """Raises ProtocolError for a part of a sample, SessionError for a gap that is too long."""
        count = sample_count(message.data, self.format, self.hello.channels)
        missing = message.position - self.received
        if missing > GAP * self.rate:
            raise SessionError("gap", f"{missing} samples are missing before {message.position}; begin a new session.")
        if missing > 0:
            self._keep(missing)
            sentence = f"{missing} samples are missing before {message.position}; silence stands in for them."
            self.outbox.push(Error("gap", sentence, False, position=message.position - missing, lost=missing))
        known = max(0, -missing)  # a client that came back may send again what is here
        if count > known:
            self._keep(message.data[len(message.data) // count * known :] if known else message.data)

    def ask(self, message: Mark | Flush | Set) -> None:
        """Raises ProtocolError for a change in the distant future, SessionError when more is asked than can be
        remembered.
        """
        if len(self._asked) + len(self._changes) >= MOST_ASKED:
            raise SessionError("bad_message", f"{MOST_ASKED} marks and changes wait for their sound; that is too many.")
        if isinstance(message, Mark):
            self._ask("mark", message.id)
        elif isinstance(message, Flush):
            self._ask("flush")
        else:
            if (message.position or 0) > self.received + AHEAD * self.rate:
                raise ProtocolError("bad_message", f"'set.position' {message.position} is more than an hour ahead.")
            gains = None if message.gains is None else dict(message.gains)
            change = Change(message.position, gains, message.mute, message.solo, message.stems, message.lookahead)
            self._ask("set", change)

    async def room(self) -> None:
        """Until more may be read: here the fast writer waits for the model, and for its own reader."""
        while self.queue > self.window:
            await self._move()
        self._held = self._held and self.outbox.full
        if self.outbox.full and not self._held:
            try:
                async with asyncio.timeout(HOLD if self.live else None):
                    while self.outbox.full:
                        await self._move()
            except TimeoutError:
                self._held = True  # from here on the oldest stems give way, until the reader has caught up
        while self.outbox.crowded:  # answers do not
            await self._move()

    def moved(self) -> None:
        """Something was answered or sent."""
        self._moved.set()

    # From the engine.

    def event(self, event: Event) -> int:
        """Take what the engine told; returns how many samples had to be dropped."""
        dropped = 0
        if isinstance(event, Sounded):
            self.answered = event.position + event.count
            dropped = self.outbox.push(Chunk(event.position, event.count, event.data))
            self._trim()
        elif isinstance(event, Failed):
            self.give_up(event.sentence)
        else:
            self.outbox.push(self._answer(event))
        self.moved()
        return dropped

    def give_up(self, sentence: str) -> None:
        """The last thing that the client is told."""
        self.failed = sentence
        self.outbox.push(Error("engine", sentence, True))
        self.moved()

    def restart(self) -> None:
        """A new engine: tell it everything that the old one has not answered."""
        self._told.clear()
        self._tell_engine()
        sentence = f"the engine was started again; the model begins anew at {self.answered}, no samples are lost."
        self.outbox.push(Error("engine", sentence, False, position=self.answered))

    def count(self, name: str, number: int) -> int:
        """``late`` frames or ``fallbacks``, as the engine counts from its own start; returns how many are new."""
        new = max(0, number - self._told.get(name, 0))
        self._told[name] = number
        setattr(self, name, getattr(self, name) + new)
        return new

    def stats(self, **more: Any) -> Stats:
        return Stats(
            received=self.received,
            sent=self.outbox.sent,
            queue=self.queue,
            dropped=self.outbox.dropped,
            late=self.late,
            fallbacks=self.fallbacks,
            **more,
        )

    def fits(self, hello: Hello) -> bool:
        """Whether a client that comes back speaks of the same sound."""
        mine = self.hello
        return (hello.rate, hello.channels, hello.format) == (mine.rate, mine.channels, mine.format)

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _keep(self, sound: bytes | int) -> None:
        count = sound if isinstance(sound, int) else sample_count(sound, self.format, self.hello.channels)
        self._sound.append((self.received, sound))
        self.received += count
        self._send_sound(sound)

    def _send_sound(self, sound: bytes | int) -> None:
        self._send("silence" if isinstance(sound, int) else "audio", self.id, sound)

    def _ask(self, command: str, *values: Any) -> None:
        self._asked.append((self.received, command, values))
        self._send(command, self.id, *values)

    def _answer(self, event: Marked | Flushed | Changed) -> Message:
        if isinstance(event, Marked):
            self._done("mark", lambda values: values[0] == event.id)
            return Mark(event.id, event.position)
        if isinstance(event, Flushed):
            self._done("flush", lambda values: True)
            return Flush(event.position)
        change = event.change
        # A new engine also repeats what the old one had answered: that answers no question.
        if self._done("set", lambda values: replace(values[0], position=change.position) == change):
            self._changes = in_order(self._changes, change)
        return Set(change.position, change.gains, change.mute, change.solo, change.stems, change.lookahead)

    def _done(self, command: str, fits: Callable[[tuple[Any, ...]], bool]) -> bool:
        """Strike the oldest question of a kind off the list."""
        for index, (_, name, values) in enumerate(self._asked):
            if name == command and fits(values):
                del self._asked[index]
                return True
        return False

    def _trim(self) -> None:
        """Forget sound whose stems are back, and changes that have come to hold."""
        while len(self._sound) > 1 and self._sound[1][0] <= self.answered:
            self._sound.popleft()
        while self._changes and (self._changes[0].position or 0) < self.answered:
            change = self._changes.pop(0)
            self._desk = change.on(self._desk)
            if change.lookahead is not None:
                self._look(change.lookahead)

    @property
    def hops(self) -> bool:
        """Whether it is computed in hops of 10 ms."""
        return in_hops(self._lookahead, self.hello.render)

    def _look(self, lookahead: int) -> None:
        self._lookahead = lookahead
        self.latency = Clock.make(self.rate, lookahead, self.hello.render).latency()

    def _tell_engine(self) -> None:
        hello = self.hello
        spec = Spec(
            hello.rate,
            hello.channels,
            self.format,
            self._lookahead,
            hello.render,
            hello.live,
            self.answered,
            self._desk,
        )
        self._send("open", self.id, spec)
        for change in self._changes:
            self._send("set", self.id, change)
        asked = deque(self._asked)
        for position, sound in self._sound:
            while asked and asked[0][0] <= position:
                _, command, values = asked.popleft()
                self._send(command, self.id, *values)
            if rest := self._after(position, sound):
                self._send_sound(rest)
        for _, command, values in asked:
            self._send(command, self.id, *values)

    def _after(self, position: int, sound: bytes | int) -> bytes | int:
        """The part of ``sound`` that is not answered."""
        skip = max(0, self.answered - position)
        if isinstance(sound, int):
            return max(0, sound - skip)
        size = self.hello.channels * (2 if self.format == "s16le" else 4)
        return sound[skip * size :]
