"""Trying again: after which errors, how often and how soon. Knows servers that come back; knows no session."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from clients.python.errors import ClientError, ServerError
from clients.python.wire import Wire
from streamsep.protocol import Hello, Ready

BACKOFF = (0.25, 5.0)  # seconds between attempts: at first, and at most
MISSES = 5  # times that a wrong server may answer, where several stand behind the address
_PASSING = ("full", "shutdown", "resume", "gap", "engine", "idle")


def passing(error: BaseException | None) -> bool:
    """Whether another attempt makes sense after what the server said."""
    return isinstance(error, ServerError) and error.code in _PASSING


async def patiently(attempt: Callable[[], Awaitable[None]], patience: float) -> None:
    """``attempt`` until it succeeds. Raises its ClientError when that is final or ``patience`` seconds are over."""
    started, (delay, most) = time.monotonic(), BACKOFF
    while True:
        try:
            return await attempt()
        except ClientError as error:
            if isinstance(error, ServerError) and not passing(error):
                raise
            wait = (error.retry_after or 0.0) if isinstance(error, ServerError) else 0.0
            if time.monotonic() - started + max(delay, wait) > patience:
                raise
        await asyncio.sleep(max(wait, delay * random.uniform(0.5, 1)))  # not all clients at once
        delay = min(2 * delay, most)


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
