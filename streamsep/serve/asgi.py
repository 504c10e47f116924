"""The server as an ASGI application: sockets, pages and health for whoever speaks ASGI. Knows ASGI's events only.

``Wire`` makes of ASGI's two functions the socket that a connection wants. What the ASGI server hands on without being
asked for is read at once and bounded here: Ray's proxy, for one, reads its clients as fast as they write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close
from websockets.http11 import Response

from streamsep.serve.core import Core
from streamsep.serve.pages import SOCKET, respond

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MOST_BYTES = 1 << 24  # that may wait to be taken
MOST_WAITING = 10_000  # messages that may wait to be taken
PARTING = 0.5  # seconds in which a client may close by itself: Ray takes a close that comes after it for a fault


class Application:
    """``await application(scope, receive, send)``. The engine starts and stops with ASGI's lifespan."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await _answer(self._page(scope), "http.response", send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                try:
                    await self._core.start()
                except Exception as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                self._core.drain()
                await self._core.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _page(self, scope: Event) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return respond(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is answered here.\n", Allow="GET")
        response = self._core.page(scope["path"])
        if scope["method"] == "HEAD":
            response.body = b""
        return response

    async def _connect(self, scope: Event, receive: Receive, send: Send) -> None:
        core = self._core
        response = core.turned_away(_headers(scope), core.connections, 4 * core.hub.limit + 64)
        if scope["path"] != SOCKET:
            response = respond(HTTPStatus.NOT_FOUND, "There is nothing here; the stems are at /v1.\n")
        if response is None:
            async with Wire(receive, send, core.options.max_message) as wire:
                await core.handle(wire)
        elif "websocket.http.response" in (scope.get("extensions") or {}):
            await receive()  # websocket.connect
            await _answer(response, "websocket.http.response", send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


class Wire:
    """An accepted WebSocket while the block lasts, as ``streamsep.serve.connection.Socket``."""

    def __init__(self, receive: Receive, send: Send, max_message: int) -> None:
        self._receive, self._send, self._max_message = receive, send, max_message
        self._waiting: deque[str | bytes] = deque()
        self._bytes = 0  # that wait
        self._changed = asyncio.Event()
        self._over: Close | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Wire:
        event = await self._receive()
        if event["type"] == "websocket.connect":
            await self._send({"type": "websocket.accept"})
            self._reader = asyncio.create_task(self._read())
        else:
            self._end(1006)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close(1000, "")
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def recv(self) -> str | bytes:
        """The next message; what came before the end is given first."""
        while not self._waiting:
            if self._over is not None:
                raise self._closed()
            await self._wait()
        message = self._waiting.popleft()
        self._bytes -= len(message)
        return message

    async def send(self, message: bytes, /) -> None:
        if self._over is not None:
            raise self._closed()
        try:
            await self._send({"type": "websocket.send", "bytes": message})
        except OSError:  # how ASGI servers say that the client has gone
            self._end(1006)
            raise self._closed() from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, unless the client does in the next moment; what it still sends is of no interest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                while self._over is None:
                    await self._wait()
        await self._close(code, reason)

    async def _close(self, code: int, reason: str) -> None:
        if self._over is None:
            self._end(code, reason)
            with contextlib.suppress(OSError):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _read(self) -> None:
        """Everything that comes, until the end or until too much of it waits."""
        while self._over is None:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                self._end(event.get("code") or 1005, event.get("reason") or "")
                return
            data = event.get("bytes")
            message: str | bytes = (event.get("text") or "") if data is None else data
            if len(message) > self._max_message:
                await self._close(1009, f"a message of more than {self._max_message} bytes")
            elif self._bytes + len(message) > MOST_BYTES or len(self._waiting) >= MOST_WAITING:
                await self._close(1008, "too much was sent ahead of the model; see window")
            else:
                self._waiting.append(message)
                self._bytes += len(message)
                self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _end(self, code: int, reason: str = "") -> None:
        self._over = Close(code, reason)
        self._changed.set()

    def _closed(self) -> ConnectionClosed:
        assert self._over is not None
        kind = ConnectionClosedOK if self._over.code in (1000, 1001) else ConnectionClosedError
        return kind(self._over, None)


async def _answer(response: Response, kind: str, send: Send) -> None:
    """``kind``: ``http.response``, or ``websocket.http.response`` in place of a handshake."""
    hop = ("connection", "content-length") if not response.body else ("connection",)
    pairs = [(name.lower().encode(), value.encode()) for name, value in response.headers.raw_items()]
    headers = [(name, value) for name, value in pairs if name.decode() not in hop]
    await send({"type": f"{kind}.start", "status": response.status_code, "headers": headers})
    await send({"type": f"{kind}.body", "body": response.body})


def _headers(scope: Event) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
