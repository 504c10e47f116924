"""A server without its port: the engine, all sessions, metrics and pages. Knows no library that accepts connections."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response

from streamsep.serve.connection import Connection, Socket
from streamsep.serve.engine import Engine
from streamsep.serve.hub import Hub
from streamsep.serve.metrics import Metrics
from streamsep.serve.options import ServeOptions
from streamsep.serve.pages import origin_allowed, respond, static
from streamsep.serve.traffic import EngineOptions

log = logging.getLogger("streamsep.serve")

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Core:
    """``start``, then ``handle`` every connection and ``page`` every other request, ``drain``, ``stop``.

    ``name`` tells servers apart that stand behind one address; it ends the keys of their sessions.
    """

    def __init__(self, options: ServeOptions, name: str = "") -> None:
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
        self.hub = Hub(self.engine, self.metrics, options.token, options.resume_time, measured, name)
        self.connections = 0
        self._engine_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the model is loaded and measured. Raises StreamsepError when it cannot be."""
        started = await self.engine.start()
        frames = ", ".join(f"{ms:.1f}" for ms in started.frame_ms)
        log.info(
            "model %s, %d sessions at most (ms a frame of 1, 2, 4, ... sessions: %s)",
            started.model,
            started.limit,
            frames,
            extra={"event": "started", "limit": started.limit, "frame_ms": started.frame_ms},
        )
        self._engine_task = asyncio.create_task(self.engine.run())

    def drain(self) -> None:
        """No new session comes in; what was heard is still answered, then everybody is told."""
        if not self.hub.draining.is_set():
            self.hub.draining.set()
            log.info("going down: %d sessions are drained", self.hub.sessions, extra={"event": "draining"})

    async def stop(self) -> None:
        """End the engine."""
        if self._engine_task is not None:
            self._engine_task.cancel()
            await asyncio.wait([self._engine_task])
        await self.engine.stop()

    async def handle(self, socket: Socket) -> None:
        """A connection, until it is closed."""
        self.connections += 1
        self.metrics.connections.inc()
        try:
            await Connection(socket, self.hub, self.options).run()
        except Exception:
            log.exception("a connection failed", extra={"event": "fault"})
            raise
        finally:
            self.connections -= 1
            self.metrics.connections.dec()

    def page(self, path: str) -> Response:
        """The answer to everything that is no WebSocket."""
        if path == "/healthz":
            return respond(HTTPStatus.OK, "ok\n")
        if path == "/readyz":
            ready = self.engine.ready and not self.hub.draining.is_set()
            return respond(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, "ready\n" if ready else "no\n")
        if path == "/metrics":
            self.hub.refresh()
            return respond(HTTPStatus.OK, self.metrics.text(), _METRICS_TYPE)
        return static(self.options.pages, path)

    def turned_away(self, headers: Headers, connections: int, most: int) -> Response | None:
        """The answer to a handshake that must not go on: a foreign page, or one connection too many."""
        if not origin_allowed(headers, self.options.origins):
            self.metrics.errors.labels("origin").inc()
            return respond(HTTPStatus.FORBIDDEN, "This origin may not connect; see streamsep serve --origin.\n")
        if connections > most:
            self.metrics.errors.labels("connections").inc()
            return respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n", Retry_After="10")
        return None
