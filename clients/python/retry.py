"""Trying again: after which errors, how often and how soon. Knows servers that come back; knows no session."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeGuard

from websockets.exceptions import ConnectionClosed

from clients.python.errors import ClientError, ServerError
from clients.python.wire import Wire
from streamsep.protocol import Hello, Ready

BACKOFF = (0.25, 5.0)  # seconds between attempts: at first, and at most
MISSES = 5  # times that a wrong server may answer, where several stand behind the address
_PASSING = ("full", "shutdown", "gap", "engine", "idle")


def passing(error: object) -> TypeGuard[ServerError]:
    """Whether another attempt makes sense after what the server said."""
    return isinstance(error, ServerError) and error.code in _PASSING


class Patience:
    """When to try again, from a session's first connection to its last.

    ``seconds``: for which attempts may fail, and connections end before they have brought anything. The attempt that
    follows a connection of some use comes at once; all others wait, each longer than the one before.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._delay = 0.0
        self._since: float | None = None  # when the first connection was lost that nothing came of
        self._opened, self._position = time.monotonic(), 0

    async def again(self, attempt: Callable[[], Awaitable[None]], error: ClientError, position: int) -> None:
        """``attempt`` until it succeeds, after ``error`` ended a connection that brought stems up to ``position``.

        Raises the last error when it is final or patience is over.
        """
        if position > self._position or time.monotonic() - self._opened > BACKOFF[1]:
            self._delay, self._since = 0.0, None
        self._position = position
        await self._wait(error, 0.0)
        while True:
            try:
                await attempt()
            except ClientError as failed:
                if isinstance(failed, ServerError) and not passing(failed):
                    raise
                await self._wait(failed, (failed.retry_after or 0.0) if isinstance(failed, ServerError) else 0.0)
            else:
                self._opened = time.monotonic()
                return

    async def _wait(self, error: ClientError, least: float) -> None:
        """Before the next attempt; raises ``error`` when there is to be none."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since + max(self._delay, least) > self._seconds:
            raise error
        await asyncio.sleep(max(least, self._delay * random.uniform(0.5, 1)))  # not all clients at once
        first, most = BACKOFF
        self._delay = min(2 * self._delay, most) or first


async def find(url: str, hello: Hello) -> tuple[Wire, Ready]:
    """A connection to the server that has the session, as far as that is a matter of trying."""
    for _ in range(MISSES):
        try:
            return await Wire.open(url, hello)
        except ServerError as error:
            if error.code != "resume" or error.retry_after is None:
                raise
            await asyncio.sleep(error.retry_after)
    return await Wire.open(url, hello)


def reason(url: str, results: Iterable[object]) -> ClientError:
    """Why a connection ended, of what its tasks left. Raises what trying again does not mend."""
    why = ClientError(f"the connection to {url} was lost.")
    for result in results:
        if passing(result):
            return result
        if isinstance(result, ConnectionClosed):
            why = ClientError(f"{url} ends every connection before it gives stems: {result}; see the server's log.")
        elif isinstance(result, Exception):
            raise result
    return why
