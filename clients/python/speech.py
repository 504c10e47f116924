"""What a client says on a connection: its journal, in order, and that it is still there. Knows no answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from clients.python.journal import Entry, Journal, Sound
from clients.python.wire import Wire
from streamsep.protocol import Ping, Set

ALIVE = 15.0  # seconds of silence after which the server is told that somebody is here


async def speak(wire: Wire, journal: Journal, base: int, more: Callable[[], Awaitable[None]]) -> None:
    """Until the connection is lost, which raises ConnectionClosed.

    Args:
        base: position that the server's session calls 0.
        more: returns when something was added to the journal.
    """
    while True:
        while journal:
            await _say(wire, journal.take(), base)
        try:
            async with asyncio.timeout(ALIVE):
                await more()
        except TimeoutError:
            await wire.tell(Ping(0))


async def _say(wire: Wire, entry: Entry, base: int) -> None:
    if isinstance(entry, Sound):
        await wire.sound(entry.position - base, entry.data)
    elif isinstance(entry.message, Set):
        at = entry.message.position
        await wire.tell(replace(entry.message, position=None if at is None else max(0, at - base)))
    else:
        await wire.drain()
        await wire.tell(replace(entry.message, position=None))
