"""One WebSocket: hello, then a receive loop and an emit loop side by side until one of them ends.

Knows messages and their order; what a session does with them is the session's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from websockets.exceptions import ConnectionClosed

from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.protocol import (
    VERSION,
    Ack,
    Audio,
    Bye,
    Error,
    Flush,
    Hello,
    Mark,
    Message,
    Ping,
    Pong,
    ProtocolError,
    Ready,
    Set,
    Stats,
    Stems,
    decode,
    encode,
)
from streamsep.protocol.messages import MAX_NAME
from streamsep.serve.coder import Coder
from streamsep.serve.hub import RETRY, Hub, Refused
from streamsep.serve.inbox import Inbox, Overflow
from streamsep.serve.options import ServeOptions
from streamsep.serve.pace import Pace
from streamsep.serve.session import Session, SessionError

log = logging.getLogger("streamsep.serve")

MISTAKES = 10  # messages that may be wrong before the connection is closed


class Socket(Protocol):
    """What a connection needs of a WebSocket. All but ``close`` raise ConnectionClosed when it is closed.

    ``close`` returns after a few seconds at most, also when the client reads nothing.
    """

    async def recv(self) -> str | bytes: ...

    async def send(self, message: bytes, /) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


class _Bye(Exception):
    """The client has said goodbye."""


class Connection:
    """One client, from its first message to its last."""

    def __init__(self, socket: Socket, hub: Hub, options: ServeOptions) -> None:
        self._socket, self._hub, self._options = socket, hub, options
        self._pace = Pace(options.max_rate)
        self._left, self._gone = asyncio.Event(), asyncio.Event()
        self._mistakes = 0
        self._receiver: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the client; returns when its connection is closed."""
        try:
            hello = await self._hello()
            session, lost = await self._hub.enter(hello, self)
        except Refused as refused:
            await self._refuse(refused)
            return
        except ConnectionClosed:
            return
        extra = {"event": "hello", "session": session.id, "client": hello.client, "resumed": hello.resume is not None}
        log.info("session %s: hello from %r", session.id, hello.client or "a client", extra=extra)
        refused, free, coder = None, False, Coder(hello, session)
        try:
            await self._tell([self._ready(session, hello, lost)])
            async with asyncio.TaskGroup() as group:
                hear = self._hear
                if self._options.acks:
                    inbox = Inbox(hear, lambda message: self._take(session, coder, message))
                    group.create_task(self._fill(inbox))
                    hear = inbox.take
                self._receiver = group.create_task(self._receive(session, coder, hear))
                group.create_task(self._emit(session, coder))
                group.create_task(self._watch(session))
        except* Refused as errors:
            refused = _first(errors)
            free = refused.free
        except* _Bye:
            free = True
        except* ConnectionClosed:
            pass
        finally:
            self._hub.part(session, self, free)
            self._gone.set()
            log.info("session %s: %s", session.id, "bye" if free else "connection ended", extra={"event": "end"})
        if refused is not None:
            await self._refuse(refused)
        else:
            await self._close()

    async def leave(self) -> None:
        """The session goes on in another connection."""
        self._left.set()
        await self._gone.wait()

    async def _hello(self) -> Hello:
        """The first message. Raises Refused when it is none, or comes too late."""
        seconds = self._options.hello_timeout
        try:
            async with asyncio.timeout(seconds):
                message = self._decode(await self._socket.recv())
        except TimeoutError:
            raise Refused("hello", f"no hello came within {seconds:g} seconds.") from None
        except ProtocolError as error:
            raise Refused("version" if error.code == "version" else "hello", str(error)) from None
        if not isinstance(message, Hello):
            raise Refused("hello", f"the first message must be hello, not {message.kind}.")
        return message

    def _ready(self, session: Session, hello: Hello, lost: int) -> Ready:
        started = self._hub.engine.started
        return Ready(
            version=VERSION,
            session=session.id,
            resume=session.key,
            position=session.received,
            sent=session.outbox.sent,
            frame=-(-FRAME * session.rate // SAMPLE_RATE),
            latency=session.latency,
            window=session.window,
            model=started.model[:MAX_NAME] if started else "",
            resumed=hello.resume is not None,
            lost=lost,
        )

    async def _receive(self, session: Session, coder: Coder, hear: Callable[[], Awaitable[Message]]) -> None:
        while True:
            await session.room()
            try:
                self._take(session, coder, await hear())
            except ProtocolError as error:
                self._mistake(session, error)
            except SessionError as error:
                raise Refused(error.code, str(error), free=True) from None

    async def _fill(self, inbox: Inbox) -> None:
        try:
            await inbox.fill()
        except Overflow as error:
            raise Refused("bad_message", str(error), free=True) from None

    async def _hear(self) -> Message:
        """The next message. Raises ProtocolError for what is none, Refused when none comes."""
        idle = self._options.idle_timeout
        await self._pace.wait()
        try:
            async with asyncio.timeout(idle):
                data = await self._socket.recv()
        except TimeoutError:
            raise Refused("idle", f"nothing was heard for {idle:g} seconds.", 1008) from None
        return self._decode(data)

    def _take(self, session: Session, coder: Coder, message: Message) -> None:
        """Do what one message asks. Raises ProtocolError, SessionError or _Bye."""
        session.met()
        if isinstance(message, Audio):
            session.audio(coder.heard(message))
        elif isinstance(message, (Mark, Flush, Set)):
            session.ask(message)
        elif isinstance(message, Ack):
            session.outbox.ack(message.position)
        elif isinstance(message, Ping):
            session.outbox.push(Pong(message.id))
        elif isinstance(message, Stats):
            session.outbox.push(self._stats(session))
        elif isinstance(message, Bye):
            raise _Bye
        elif isinstance(message, (Hello, Ready, Stems, Error)):
            raise ProtocolError("bad_message", f"'{message.kind}' has no place here.")

    def _stats(self, session: Session) -> Stats:
        hub = self._hub
        return session.stats(
            restarts=hub.engine.restarts,
            frame_ms=1000 * hub.frame_seconds,
            sessions=hub.sessions,
            limit=hub.limit,
        )

    def _mistake(self, session: Session, error: ProtocolError) -> None:
        self._mistakes += 1
        if self._mistakes >= MISTAKES:
            raise Refused(error.code, f"{MISTAKES} messages were wrong; the last: {error}"[:500], free=True)
        session.outbox.push(Error(error.code, str(error), False))

    async def _emit(self, session: Session, coder: Coder) -> None:
        while True:
            if self._options.acks:
                await session.outbox.arrived(session.window)
            item = await session.outbox.take()
            if isinstance(item, Error):
                if item.fatal:
                    raise Refused(item.code, item.sentence, free=True)  # which is counted when it is told
                self._hub.metrics.errors.labels(item.code).inc()
            await self._tell(coder.told(item))
            session.moved()

    async def _watch(self, session: Session) -> None:
        """End it all when the session goes on elsewhere, or when the server does not."""
        left = asyncio.create_task(self._left.wait())
        draining = asyncio.create_task(self._hub.draining.wait())
        try:
            await asyncio.wait((left, draining), return_when=asyncio.FIRST_COMPLETED)
            if self._left.is_set():
                raise Refused("resume", "the session goes on in another connection.")
            assert self._receiver is not None
            self._receiver.cancel()  # nothing more is taken; what was is still answered
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.drain_time):
                    while not session.quiet:
                        await asyncio.sleep(0.02)
            raise Refused("shutdown", "the server is going down.", 1001, RETRY)
        finally:
            left.cancel()
            draining.cancel()

    def _decode(self, data: str | bytes) -> Message:
        self._hub.metrics.messages.labels("in").inc()
        self._hub.metrics.bytes.labels("in").inc(len(data))
        if isinstance(data, str):
            raise ProtocolError("bad_message", "text messages are not used; send binary ones.")
        return decode(data)

    async def _tell(self, messages: Iterable[Message]) -> None:
        """Raises Refused when the client reads nothing for so long: no ping would get through to find that out."""
        idle = self._options.idle_timeout
        try:
            async with asyncio.timeout(idle):
                for message in messages:
                    await self._send(message)
        except TimeoutError:
            raise Refused("idle", f"nothing was read for {idle:g} seconds.", 1008) from None

    async def _send(self, message: Message) -> None:
        data = encode(message)
        self._hub.metrics.messages.labels("out").inc()
        self._hub.metrics.bytes.labels("out").inc(len(data))
        await self._socket.send(data)

    async def _refuse(self, refused: Refused) -> None:
        """Tell why and close. Neither may take long: the client is perhaps not reading."""
        self._hub.metrics.errors.labels(refused.error.code).inc()
        log.info("refused: %s", refused, extra={"event": "refused", "code": refused.error.code})
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(2):
                await self._send(refused.error)
        await self._close(refused.close, refused.error.code)

    async def _close(self, code: int = 1000, reason: str = "") -> None:
        """Close, reading on meanwhile: behind what the client sent before stands its own goodbye."""
        closing = asyncio.create_task(self._socket.close(code, reason))
        with contextlib.suppress(ConnectionClosed):
            while not closing.done():
                await self._socket.recv()
        await closing


def _first(errors: BaseExceptionGroup[Refused]) -> Refused:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
