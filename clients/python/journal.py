"""What a client has said and may have to say again. Knows positions; knows no sockets.

push ─► unsent ─► take ─► sent ─► answered: gone
          ▲                 │
          └──── rewind ◄────┘     a connection that was lost
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamsep.protocol import Flush, Mark, Set


@dataclass(frozen=True)
class Sound:
    """Bytes of ``count`` samples from ``position`` on."""

    position: int
    count: int
    data: bytes

    @property
    def end(self) -> int:
        return self.position + self.count

    def after(self, position: int) -> Sound:
        skip = min(self.count, max(0, position - self.position))
        return Sound(self.position + skip, self.count - skip, self.data[len(self.data) // self.count * skip :])

    def before(self, position: int) -> Sound:
        rest = self.after(position)
        return Sound(self.position, self.count - rest.count, self.data[: len(self.data) - len(rest.data)])


@dataclass(frozen=True)
class Request:
    """A question or a change that follows the sound before ``position``."""

    position: int
    message: Flush | Mark | Set

    @property
    def end(self) -> int:
        return self.position

    def after(self, position: int) -> Request:
        return replace(self, position=max(self.position, position))


Entry = Sound | Request


class Journal:
    """``position``: of the next sample that is pushed; ``start``: of the oldest that can still be said again."""

    def __init__(self) -> None:
        self.position = 0
        self._unsent: deque[Entry] = deque()
        self._sent: deque[Entry] = deque()

    def __bool__(self) -> bool:
        return bool(self._unsent)

    @property
    def start(self) -> int:
        return next((e.position for e in (*self._sent, *self._unsent) if isinstance(e, Sound)), self.position)

    def sound(self, count: int, data: bytes) -> None:
        if count:
            self._unsent.append(Sound(self.position, count, data))
            self.position += count

    def request(self, message: Flush | Mark | Set) -> None:
        self._unsent.append(Request(self.position, message))

    def first(self, messages: Sequence[Set]) -> None:
        """Said before everything that is not sent yet."""
        start = self.start
        self._unsent.extendleft(Request(start, message) for message in reversed(messages))

    def take(self) -> Entry:
        """The next to be sent."""
        entry = self._unsent.popleft()
        self._sent.append(entry)
        return entry

    def rewind(self, position: int) -> None:
        """The server has the sound before ``position`` and perhaps what was asked there: all later is said again.

        What it has is not answered by that: it stays with what was sent.
        """
        again: list[Entry] = []
        while self._sent and self._sent[-1].end >= position:
            entry = self._sent.pop()
            if isinstance(entry, Sound) and entry.position < position:
                self._sent.append(entry.before(position))
                entry = entry.after(position)
                if entry.count:
                    again.append(entry)
                break
            again.append(entry)
        self._unsent.extendleft(again)

    def answered(self, position: int) -> None:
        """The stems before ``position`` are here: the sound need not be said again, nor changes before it."""
        while self._sent and _over(self._sent[0], position):
            self._sent.popleft()

    def done(self, message: Flush | Mark) -> bool:
        """Strike a question off; whether there was one: answers may come twice."""
        for entry in self._sent:
            if isinstance(entry, Request) and _same(entry, message):
                self._sent.remove(entry)
                return True
        return False

    def drop_before(self, position: int) -> int:
        """Forget sound before ``position``, sent or not; returns how many samples of it were never sent.

        What was asked there is not forgotten: it follows the sound that was.
        """
        self.answered(position)
        _cut(self._sent, position)
        return _cut(self._unsent, position)


def _over(entry: Entry, position: int) -> bool:
    if isinstance(entry, Sound):
        return entry.end <= position
    # Who has answered sound that follows a change has the change; a question waits for its own answer.
    return isinstance(entry.message, Set) and entry.position < position


def _cut(entries: deque[Entry], position: int) -> int:
    """Drop the sound before ``position``; returns how many samples it was."""
    asked, lost = [], 0
    while entries and entries[0].position < position:
        first = entries.popleft()
        rest = first.after(position)
        if isinstance(rest, Request):
            asked.append(rest)
            continue
        lost += first.end - first.position - rest.count
        if rest.count:
            entries.appendleft(rest)
    entries.extendleft(reversed(asked))
    return lost


def _same(entry: Request, answer: Flush | Mark) -> bool:
    asked = entry.message
    if isinstance(asked, Mark) and isinstance(answer, Mark):
        return asked.id == answer.id
    return isinstance(asked, Flush) and isinstance(answer, Flush) and entry.position == answer.position
