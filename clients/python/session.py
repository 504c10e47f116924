"""The asyncio client: sound in, stems out, across lost connections. Knows the protocol and one server's address.

Positions are those of the caller's sound from the first sample sent, whatever sessions the server made of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed

from clients.python.desk import Desk
from clients.python.errors import ClientError, ServerError
from clients.python.inbox import Block, Inbox
from clients.python.journal import Journal
from clients.python.retry import Patience, find, passing, reason
from clients.python.speech import speak
from clients.python.wire import Wire
from streamsep.protocol import (
    Ack,
    Error,
    Flush,
    Hello,
    Mark,
    Message,
    ProtocolError,
    Ready,
    Set,
    Stats,
    Stems,
    encode_samples,
    raw_format,
)

Samples = NDArray[np.float32]
Notice = Callable[[str], None]

ACK = 0.5  # seconds of stems between two acks
FRESH = 0.2  # seconds of live sound with which a new session begins when the old one is gone
MOST = 1 << 16  # samples in one audio message


class Session:
    """``send`` sound, iterate over blocks; the iteration ends when a ``finish`` is answered or ``close`` called.

    Attributes:
        ready: the server's answer to hello; new after each connection.
        lost: samples of stems that never came; ``reconnects``: how often the connection was made again;
        restarts: how often the model began anew.
    """

    def __init__(self, url: str, hello: Hello, patience: float, notice: Notice) -> None:
        self.url, self.hello = url, hello
        self.lost = self.reconnects = self.restarts = 0
        self.position = 0  # of the next stems
        self._patience, self._notice = Patience(patience), notice
        self._journal = Journal()
        self._base = 0  # position that the server's session calls 0
        self._desk = Desk()
        self._inbox = Inbox()
        self._changed = asyncio.Event()
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None
        self._acked = self._mark = 0
        self.ready: Ready

    async def start(self) -> None:
        await self._open(first=True)
        self._task = asyncio.create_task(self._run())

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, block: Samples) -> None:
        """``block`` [channels, n] float32. Waits while the server has much to do, unless the session is live.

        Raises ClientError for a block of another shape, and when the session is over.
        """
        channels = self.hello.channels
        if block.ndim != 2 or block.shape[0] != channels:
            shape = list(block.shape)
            raise ClientError(f"a block must be [{channels}, samples], not {shape}; soundfile's are turned by .T.")
        for start in range(0, block.shape[1], MOST):
            await self._send(block[:, start : start + MOST])

    async def set(self, position: int | None = None, **changes: Any) -> None:
        """``gains``, ``mute``, ``solo``, ``stems`` or ``lookahead`` from ``position`` on, or as soon as possible.

        Raises ClientError for what cannot be set, and when the session is over.
        """
        self._inbox.check()
        try:
            message = Set(position, **changes)
        except ProtocolError as error:
            raise ClientError(str(error)) from None
        self._desk.ask(message, self._journal.position)
        self._journal.request(message)
        self._change()

    async def mark(self) -> int:
        """Returns, when all stems of the sound sent so far are here, its position."""
        self._inbox.check()
        self._mark += 1
        future = self._inbox.answer(f"mark {self._mark}")
        self._journal.request(Mark(self._mark, self._journal.position))
        self._change()
        return await future

    async def finish(self) -> None:
        """End of the song; the iteration ends after its last stem."""
        self._inbox.check()
        self._journal.request(Flush(self._journal.position))
        self._change()

    async def stats(self) -> Stats:
        """What the server counts."""
        self._inbox.check()
        future = self._inbox.answer("stats")
        await self._tell(Stats())
        return await asyncio.shield(future)  # others may wait for the same

    async def close(self) -> None:
        """Say goodbye and free the place."""
        over = self._inbox.error is not None
        self._end(ClientError("the session is closed."))
        if self._wire is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._wire.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if not over:
            self._inbox.put(None)

    async def drop(self) -> None:
        """Break the connection as a bad network would; the session goes on by itself."""
        if self._wire is not None:
            self._wire.abort()

    def __aiter__(self) -> AsyncIterator[Block]:
        return self._inbox.blocks()

    async def _send(self, block: Samples) -> None:
        self._inbox.check()
        self._journal.sound(block.shape[1], encode_samples(block, raw_format(self.hello.format)))
        self._change()
        if self.hello.live:
            self._journal.drop_before(self._journal.position - 2 * self.ready.window)
            await asyncio.sleep(0)
        else:
            while self._journal.position - self.position > self.ready.window:
                self._inbox.check()
                await self._wait()

    def _change(self) -> None:
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # The connection.

    async def _run(self) -> None:
        """Speak and listen, and connect again, until the session is closed or cannot go on."""
        try:
            while True:
                await self._again(await self._talk())
        except Exception as error:
            fatal = error if isinstance(error, ClientError) else ClientError(f"{type(error).__name__}: {error}")
            self._end(fatal)
            self._inbox.put(fatal)

    def _end(self, error: ClientError) -> None:
        self._inbox.end(error)
        self._change()

    async def _talk(self) -> ClientError:
        """Until the connection is lost; returns why. Raises ServerError for what trying again does not mend."""
        assert self._wire is not None
        listener = asyncio.create_task(self._listen(self._wire))
        speaker = asyncio.create_task(speak(self._wire, self._journal, self._base, self._wait))
        try:
            await asyncio.wait((listener, speaker), return_when=asyncio.FIRST_COMPLETED)
        finally:
            wire, self._wire = self._wire, None
            for task in (listener, speaker):
                task.cancel()
            results = await asyncio.gather(listener, speaker, return_exceptions=True)
            wire.abort()
        why = reason(self.url, results)
        if passing(why):
            self._notice(f"the server says: {why}")
        return why

    async def _again(self, why: ClientError) -> None:
        """A new connection: the same session if it is still there, else a new one that goes on where it stopped."""
        self._notice("the connection was lost; trying again.")
        await self._patience.again(lambda: self._open(first=False), why, self.position)
        self.reconnects += 1

    async def _open(self, first: bool) -> None:
        hello = self.hello
        if not first:
            hello = replace(hello, resume=self.ready.resume, received=max(0, self.position - self._base))
        try:
            self._wire, ready = await find(self.url, hello)
        except ServerError as error:
            if first or error.code != "resume":
                raise
            # The server does not know the session any more: a new one, from the oldest sound that is still here.
            self._forget()
            hello = self._desk.hello(self.hello)
            self._wire, ready = await Wire.open(self.url, hello)
            self._begin_anew()
        self.ready = ready
        if first:
            return
        self._journal.rewind(self._base + ready.position)
        if not ready.resumed:
            self._journal.first(self._desk.again(hello))
        if self._inbox.awaits("stats"):
            await self._tell(Stats())
        self._notice("connected again.")

    def _forget(self) -> None:
        """What a new session does not begin with: it is too old."""
        if self.hello.live:
            self._journal.drop_before(self._journal.position - round(FRESH * self.hello.rate))
        self._desk.passed(self._journal.start)

    def _begin_anew(self) -> None:
        self._forget()
        self._base = self._journal.start
        self.restarts += 1
        lost = max(0, self._base - self.position)
        said = f"{lost} samples ({lost / self.hello.rate:.1f} s) are lost" if lost else "no samples are lost"
        self._notice(f"the model begins anew at sample {self._base}; {said}.")

    async def _listen(self, wire: Wire) -> None:
        while True:
            message = await wire.hear()
            if isinstance(message, Stems):
                await self._stems(message, wire.samples(message))
            elif isinstance(message, (Mark, Flush)):
                self._answered(message)
            elif isinstance(message, Stats):
                self._inbox.resolve("stats", message)
            elif isinstance(message, Error):
                if message.fatal:
                    raise ServerError(message)
                self.lost += message.lost or 0  # silence stood in for them
                self._notice(f"the server says: {message.sentence}")

    async def _stems(self, message: Stems, sound: dict[str, Samples]) -> None:
        position = message.position + self._base
        early, count = max(0, self.position - position), message.count
        if early >= count:
            return  # was here before the connection was lost
        missing = max(0, position - self.position)
        self.lost += missing
        self.position = position + count
        block = {name: part[:, early:] for name, part in sound.items()}
        self._inbox.put(Block(position + early, count - early, block, missing))
        self._journal.answered(self.position)
        self._desk.passed(self.position)
        self._change()
        if self.position - self._acked > ACK * self.hello.rate:
            self._acked = self.position
            await self._tell(Ack(self.position - self._base))

    def _answered(self, message: Mark | Flush) -> None:
        message = replace(message, position=(message.position or 0) + self._base)
        if not self._journal.done(message):
            return  # a repetition
        if isinstance(message, Mark):
            self._inbox.resolve(f"mark {message.id}", message.position)
        else:
            self._inbox.put(None)

    async def _tell(self, message: Message) -> None:
        """What a connection that ends does not take is asked again on the next one, or of no interest there."""
        if self._wire is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._wire.tell(message)
