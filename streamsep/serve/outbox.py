"""What waits to be sent to a client, and what was sent but may have to be sent again. Knows positions, not sockets.

push ─► waiting ─► take ─► kept ─► ack, or too old: gone
           ▲                 │
           └──── rewind ◄────┘        a client that comes back
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from streamsep.protocol import Error, Message, Pong, Stats

WAIT = 1.0  # seconds of stems waiting above which the server stops reading
DROP = 2.0  # seconds of stems that wait at most in a live session; older ones are dropped
KEEP = 5.0  # seconds of stems that are kept for a resume
MOST = 2_000  # things that wait or are kept, whatever they are


@dataclass(frozen=True)
class Chunk:
    """``count`` samples from ``position`` on: output → bytes."""

    position: int
    count: int
    data: Mapping[str, bytes]

    @property
    def end(self) -> int:
        return self.position + self.count

    def after(self, position: int) -> Chunk:
        """The part from ``position`` on."""
        skip = position - self.position
        if skip <= 0:
            return self
        data = {name: part[len(part) // self.count * skip :] for name, part in self.data.items()}
        return Chunk(position, self.count - skip, data)


Item = Chunk | Message


class Outbox:
    """``backlog``: samples that wait; ``dropped``: samples that never will be sent; ``sent``: position of the next."""

    def __init__(self, rate: int, live: bool, start: int = 0) -> None:
        self.backlog = self.dropped = 0
        self.sent = start
        self._rate, self._live = rate, live
        self._waiting: deque[Item] = deque()
        self._kept: deque[Item] = deque()
        self._kept_samples = 0
        self._again = 0  # samples at the head of those that wait which were promised to a client that came back
        self._some, self._acked = asyncio.Event(), asyncio.Event()
        self.idle = False  # whether somebody waits for the next thing: all that came before is sent

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        return self.backlog > WAIT * self._rate or self.crowded

    @property
    def crowded(self) -> bool:
        """Whether more waits than may, whatever it is: only stems can give way."""
        return len(self._waiting) > MOST

    def push(self, item: Item) -> int:
        """Append; returns how many samples had to be dropped for it: the oldest that are sent for the first time."""
        self._waiting.append(item)
        self._some.set()
        if not isinstance(item, Chunk):
            return 0
        self.backlog += item.count
        before = self.dropped
        while self._live and self.backlog - self._again > DROP * self._rate:
            self._drop_oldest()
        return self.dropped - before

    async def take(self) -> Item:
        """The next thing to send, as soon as there is one."""
        while not self._waiting:
            self._some.clear()
            self.idle = True
            try:
                await self._some.wait()
            finally:
                self.idle = False
        item = self._waiting.popleft()
        if not isinstance(item, (Pong, Stats, Error)):  # what is of its moment only is not repeated
            self._kept.append(item)
        while len(self._kept) > MOST:
            self._forget()
        if isinstance(item, Chunk):
            self.backlog -= item.count
            self._again = max(0, self._again - item.count)
            self.sent = item.end
            self._kept_samples += item.count
            while self._kept_samples > KEEP * self._rate:
                self._forget()
        return item

    async def arrived(self, most: int) -> None:
        """Returns when at most ``most`` samples are sent and not acknowledged."""
        while self._kept_samples > most:
            self._acked.clear()
            await self._acked.wait()

    def ack(self, position: int) -> None:
        """The stems before ``position`` have arrived, and so has what was sent before the last of them."""
        done = 0
        for index, item in enumerate(self._kept):
            if isinstance(item, Chunk):
                if item.end > position:
                    break
                done = index + 1
        for _ in range(done):
            self._forget()
        self._acked.set()

    def rewind(self, position: int) -> int:
        """Send everything from ``position`` on (again); returns how many samples of that are gone.

        Answers that followed the last stem that arrived are sent again too: they may have arrived or not.
        """
        self.ack(position)
        again = [item.after(position) if isinstance(item, Chunk) else item for item in self._kept]
        self._kept.clear()
        self._kept_samples = 0
        count = sum(item.count for item in again if isinstance(item, Chunk))
        self.backlog += count
        self._again += count
        self._waiting.extendleft(reversed(again))
        self._some.set()
        self.sent = next((item.position for item in self._waiting if isinstance(item, Chunk)), self.sent)
        return max(0, self.sent - position)

    def _drop_oldest(self) -> None:
        spared = self._again
        for index, item in enumerate(self._waiting):
            if isinstance(item, Chunk) and spared > 0:
                spared -= item.count
            elif isinstance(item, Chunk):
                del self._waiting[index]
                self.backlog -= item.count
                self.dropped += item.count
                return

    def _forget(self) -> None:
        item = self._kept.popleft()
        if isinstance(item, Chunk):
            self._kept_samples -= item.count
