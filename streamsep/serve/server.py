"""The server: one port, one event loop, one engine; from the first line printed to the last session drained."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from http import HTTPStatus

from websockets.asyncio.server import Server as SocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from streamsep.errors import OptionError
from streamsep.serve.connection import Connection
from streamsep.serve.engine import Engine
from streamsep.serve.hub import Hub
from streamsep.serve.metrics import Metrics
from streamsep.serve.options import ServeOptions
from streamsep.serve.pages import SOCKET, origin_allowed, path_of, respond, static
from streamsep.serve.traffic import EngineOptions

log = logging.getLogger("streamsep.serve")

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Server:
    """Used as ``async with Server(options) as server``; ``url`` is where clients connect.

    Entering raises StreamsepError when the engine cannot start or the port is taken. Leaving drains: no new session
    comes in, what was heard is still answered, then everybody is told and the engine ends.
    """

    def __init__(self, options: ServeOptions) -> None:
        self.options = options
        self.metrics = Metrics()
        self.engine = Engine(
            EngineOptions(
                options.model,
                options.device,
                options.decode,
                options.threads,
                options.exact,
                options.fallback,
                options.max_sessions,
            )
        )
        measured = options.max_sessions == 0
        self.hub = Hub(self.engine, self.metrics, options.token, options.resume_time, measured)
        self._tls = options.tls()
        self._server: SocketServer | None = None
        self._engine_task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return next(iter(self._server.sockets)).getsockname()[1]

    @property
    def page(self) -> str:
        """Where a browser finds the client."""
        scheme = "http" if self._tls is None else "https"
        host = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(self.options.host, self.options.host)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def url(self) -> str:
        return self.page.replace("http", "ws", 1) + SOCKET.lstrip("/")

    async def __aenter__(self) -> Server:
        await self._listen()
        try:
            started = await self.engine.start()
        except BaseException:
            await self._close()
            raise
        frames = ", ".join(f"{ms:.1f}" for ms in started.frame_ms)
        log.info(
            "model %s, %d sessions at most (ms a frame of 1, 2, 4, ... sessions: %s)",
            started.model,
            started.limit,
            frames,
            extra={"event": "started", "limit": started.limit, "frame_ms": started.frame_ms},
        )
        self._engine_task = asyncio.create_task(self.engine.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hub.draining.set()
        log.info("going down: %d sessions are drained", self.hub.sessions, extra={"event": "draining"})
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
                self._handle,
                options.host,
                options.port,
                ssl=self._tls,
                process_request=self._request,
                compression=None,  # sound does not shrink, and a message cannot swell to more than its size
                max_size=options.max_message,
                max_queue=4,
                write_limit=1 << 16,
                open_timeout=options.hello_timeout,
                ping_interval=20,
                ping_timeout=60,
                close_timeout=2,
                server_header="streamsep",
            )
        except OSError as error:
            raise OptionError(
                f"cannot listen on {options.host}:{options.port}: {error.strerror or error}; choose another --port."
            ) from error

    async def _close(self) -> None:
        if self._engine_task is not None:
            self._engine_task.cancel()
            await asyncio.wait([self._engine_task])
        await self.engine.stop()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _handle(self, socket: ServerConnection) -> None:
        self.metrics.connections.inc()
        try:
            await Connection(socket, self.hub, self.options).run()
        except Exception:
            log.exception("a connection failed", extra={"event": "fault"})
            raise
        finally:
            self.metrics.connections.dec()

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer everything that is no WebSocket; None lets the handshake go on."""
        path = path_of(request)
        if path == SOCKET:
            return self._admit(request)
        if path == "/healthz":
            return respond(HTTPStatus.OK, "ok\n")
        if path == "/readyz":
            ready = self.engine.ready and not self.hub.draining.is_set()
            return respond(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, "ready\n" if ready else "no\n")
        if path == "/metrics":
            self.hub.refresh()
            return respond(HTTPStatus.OK, self.metrics.text(), _METRICS_TYPE)
        return static(self.options.pages, path)

    def _admit(self, request: Request) -> Response | None:
        if not origin_allowed(request.headers, self.options.origins):
            self.metrics.errors.labels("origin").inc()
            return respond(HTTPStatus.FORBIDDEN, "This origin may not connect; see streamsep serve --origin.\n")
        assert self._server is not None
        most = self.options.max_connections or 4 * self.hub.limit + 64
        if len(self._server.connections) > most:
            self.metrics.errors.labels("connections").inc()
            return respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n", Retry_After="10")
        return None


async def run(options: ServeOptions, announce: Callable[[Server], None]) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Server(options) as server:
        announce(server)
        await stop.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
