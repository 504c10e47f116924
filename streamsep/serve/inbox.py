"""What a client has sent and what is not taken yet, where nothing paces a client. Knows messages; knows no sessions.

Behind a proxy that reads as fast as clients write, acks must not wait for what was sent before them: the stems that
wait for an ack may be what the rest waits for. Nor must a goodbye, which the end of the connection follows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from streamsep.protocol import Ack, Audio, Bye, Message, ProtocolError

MOST = 1 << 24  # bytes that may wait: 45 seconds of f32le in stereo
_SMALL = 1_000  # bytes that any other message counts for


class Overflow(Exception):
    """The client is too far ahead."""


class Inbox:
    """``hear`` gives the next message or raises ProtocolError; ``urgent`` is told of acks and the goodbye at once."""

    def __init__(self, hear: Callable[[], Awaitable[Message]], urgent: Callable[[Message], None]) -> None:
        self._hear, self._urgent = hear, urgent
        self._waiting: deque[Message | ProtocolError] = deque()
        self._bytes = 0
        self._some = asyncio.Event()

    async def fill(self) -> None:
        """Listen until the connection is closed. Raises Overflow."""
        while True:
            try:
                message = await self._hear()
            except ProtocolError as error:
                self._put(error)
                continue
            if isinstance(message, (Ack, Bye)):
                self._urgent(message)
            else:
                self._put(message)

    async def take(self) -> Message:
        """The next message. Raises the ProtocolError that stands in its place."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        item = self._waiting.popleft()
        self._bytes -= _size(item)
        if isinstance(item, ProtocolError):
            raise item
        return item

    def _put(self, item: Message | ProtocolError) -> None:
        self._waiting.append(item)
        self._bytes += _size(item)
        self._some.set()
        if self._bytes > MOST:
            raise Overflow(f"more than {MOST >> 20} MiB were sent ahead of the model; keep to 'window'.")


def _size(item: Message | ProtocolError) -> int:
    return _SMALL + (len(item.data) if isinstance(item, Audio) else 0)
