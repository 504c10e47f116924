"""The server: one port, one event loop, one engine; from the first line printed to the last session drained."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from streamsep.errors import OptionError
from streamsep.protocol import MAX_MESSAGE
from streamsep.serve.core import Core
from streamsep.serve.options import ServeOptions
from streamsep.serve.pages import SOCKET, path_of

log = logging.getLogger("streamsep.serve")

UNREAD = MAX_MESSAGE + (1 << 20)  # bytes that a client may leave unread; the longest message is written as a whole
CLOSE = 3.0  # seconds that a goodbye may take
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Door(ServerConnection):
    """A connection that a client which does not read can neither fill nor hold open."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > UNREAD:  # pings are answered without waiting for the reader
            self.transport.abort()

    async def close(self, code: CloseCode | int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close, or break: the limit that websockets has begins when the goodbye has been written."""
        try:
            async with asyncio.timeout(CLOSE):
                await super().close(code, reason)
        except TimeoutError:
            self.transport.abort()


class Server:
    """Used as ``async with Server(options) as server``; ``url`` is where clients connect.

    Entering raises StreamsepError when the engine cannot start or the port is taken. Leaving drains: no new session
    comes in, what was heard is still answered, then everybody is told and the engine ends.
    """

    def __init__(self, options: ServeOptions) -> None:
        self.options, self.core = options, Core(options)
        self.engine, self.hub = self.core.engine, self.core.hub
        self._tls = options.tls()
        self._server: SocketServer | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return next(iter(self._server.sockets)).getsockname()[1]

    @property
    def page(self) -> str:
        """Where a browser finds the client."""
        return self.options.page(self.port)

    @property
    def url(self) -> str:
        return self.page.replace("http", "ws", 1) + SOCKET.lstrip("/")

    async def __aenter__(self) -> Server:
        await self._listen()
        try:
            await self.core.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.core.drain()
        assert self._server is not None
        deadline = self.options.drain_time + 3
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                while self._server.connections:
                    await asyncio.sleep(0.02)
        await self._close()
        log.info("done", extra={"event": "stopped"})

    async def _listen(self) -> None:
        options = self.options
        try:
            self._server = await serve(
                self.core.handle,
                options.host,
                options.port,
                ssl=self._tls,
                process_request=self._request,
                create_connection=Door,
                compression=None,  # sound does not shrink, and a message cannot swell to more than its size
                max_size=options.max_message,
                max_queue=4,
                write_limit=1 << 16,
                open_timeout=options.hello_timeout,
                ping_interval=20,
                ping_timeout=None,  # a pong stands behind sound that is left unread; idle_timeout ends who has gone
                close_timeout=2,
                server_header="streamsep",
            )
        except OSError as error:
            raise OptionError(
                f"cannot listen on {options.host}:{options.port}: {error.strerror or error}; choose another --port."
            ) from error

    async def _close(self) -> None:
        await self.core.stop()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer everything that is no WebSocket; None lets the handshake go on."""
        path = path_of(request)
        if path != SOCKET:
            return self.core.page(path)
        most = self.options.max_connections or 4 * self.hub.limit + 64
        return self.core.turned_away(request.headers, self.core.connections, most)


async def run(options: ServeOptions, announce: Callable[[Server], None]) -> None:
    """Serve until SIGINT or SIGTERM, which end the loading of the model too; a second one ends at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told() -> None:
        stop.set()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, told)
    async with contextlib.AsyncExitStack() as stack:
        server = await _unless(stop, stack.enter_async_context(Server(options)))
        if server is not None:
            announce(server)
            await stop.wait()


async def _unless(stop: asyncio.Event, starting: Coroutine[Any, Any, Server]) -> Server | None:
    """What is being started; None, and an end to it, when ``stop`` comes first."""
    starter, stopper = asyncio.create_task(starting), asyncio.create_task(stop.wait())
    await asyncio.wait((starter, stopper), return_when=asyncio.FIRST_COMPLETED)
    stopper.cancel()
    if starter.done():
        return starter.result()
    starter.cancel()
    await asyncio.wait([starter])
    return None
