"""A real server on a real port, in a thread, and raw access to its socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clients.python import Session
from clients.python import connect as begin
from streamsep.protocol import MAX_MESSAGE, Ack, Bye, Error, Hello, Message, Ready, decode, encode
from streamsep.serve.options import ServeOptions
from streamsep.serve.server import Server

Sound = np.ndarray
HELLO = Hello(1, 48_000, 2)


class Running:
    """``url`` and ``page`` of a server that runs in another thread's event loop."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self._loop = server, loop
        self.url, self.page = server.url, server.page

    def inside(self, call: Callable[[Server], Any]) -> Any:
        """``call(server)`` on the server's own loop."""

        async def run() -> Any:
            return call(self.server)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and text of a page."""
        request = urllib.request.Request(self.page + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def count(self, name: str) -> float:
        """The value of a metric, 0 when it has never been counted."""
        return metric(self.page, name)


def metric(page: str, name: str) -> float:
    """The value of a metric of the server at ``page``, 0 when it has never been counted."""
    with urllib.request.urlopen(page + "metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name + " ")), 0.0)


@contextmanager
def running(options: ServeOptions) -> Iterator[Running]:
    """The server while the block lasts; afterwards it has been drained."""
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()
    result: list[Running | BaseException] = []

    async def main() -> None:
        try:
            async with Server(options) as server:
                result.append(Running(server, loop))
                started.set()
                await stop.wait()
        except BaseException as error:
            result.append(error)
            started.set()
            raise

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert started.wait(240)
    if isinstance(result[0], BaseException):
        thread.join()
        raise result[0]
    try:
        yield result[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive()
        loop.close()


@contextmanager
def serving(
    model: Path | str, port: int, *arguments: str, token: str = "", log: int | IO[str] = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """``streamsep serve`` in a process of its own, from when it is ready; a long run's ``log`` must not be a pipe."""
    command = [sys.executable, "-m", "streamsep", "serve", "--model", str(model), "--port", str(port), *arguments]
    env = os.environ | ({"STREAMSEP_TOKEN": token} if token else {})
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                assert answer.status == 200
                break
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(coroutine: Coroutine[Any, Any, Any], seconds: float = 60) -> Any:
    """A test's own loop, for a minute at most unless told otherwise."""

    async def limited() -> Any:
        async with asyncio.timeout(seconds):
            return await coroutine

    return asyncio.run(limited())


async def collect(session: Session) -> dict[str, Sound]:
    """Every output of a session until its song is finished; no sample may be missing."""
    parts: dict[str, list[Sound]] = {}
    position = None
    async for block in session:
        assert block.missing == 0 and position in (None, block.position)
        position = block.position + block.count
        for name, sound in block.stems.items():
            parts.setdefault(name, []).append(sound)
    return {name: np.concatenate(part, axis=1) for name, part in parts.items()}


async def separate(url: str, sound: Sound, rate: int = 48_000, block: int = 4_000, **options: Any) -> dict[str, Sound]:
    """``sound`` through the server with the Python client."""
    async with await begin(url, rate, sound.shape[0], **{"live": False, **options}) as session:

        async def send() -> None:
            for start in range(0, sound.shape[1], block):
                await session.send(sound[:, start : start + block])
            await session.finish()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            result = group.create_task(collect(session))
        return result.result()


class Raw:
    """A socket that sends whatever a test wants to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: Message | bytes | str) -> None:
        await self.socket.send(encode(message) if isinstance(message, Message) else message)

    async def receive(self) -> Message:
        data = await self.socket.recv()
        assert isinstance(data, bytes)
        return decode(data)

    async def until(self, kind: type[Message]) -> Any:
        """The next message of a kind; others are passed over."""
        while True:
            message = await self.receive()
            if isinstance(message, kind):
                return message

    async def closed(self) -> tuple[int, list[Message]]:
        """Close code, and everything that came before it."""
        heard: list[Message] = []
        try:
            while True:
                heard.append(await self.receive())
        except ConnectionClosed as error:
            return (error.rcvd.code if error.rcvd else 1006), heard


class raw:
    """``async with raw(url) as socket``."""

    def __init__(self, url: str, **options: Any) -> None:
        self._connect = connect(url, max_size=MAX_MESSAGE, compression=None, **options)

    async def __aenter__(self) -> Raw:
        return Raw(await self._connect.__aenter__())

    async def __aexit__(self, *error: Any) -> None:
        with contextlib.suppress(ConnectionClosed):  # the place is free for the next test
            await self._connect.connection.send(encode(Bye()))
        await self._connect.__aexit__(*error)


async def greet(socket: Raw, hello: Hello = HELLO) -> Ready:
    """The answer to hello. After a resume the server learns that it arrived, as from any client that goes on."""
    await socket.send(hello)
    ready = await socket.receive()
    assert isinstance(ready, Ready), ready
    if ready.resumed:
        await socket.send(Ack(ready.sent))
    return ready


async def refusal(url: str, first: Message | bytes | str, **options: Any) -> tuple[int, Error]:
    """Close code and error of a connection whose first message is refused."""
    async with raw(url, **options) as socket:
        await socket.send(first)
        code, heard = await socket.closed()
    assert len(heard) == 1 and isinstance(heard[0], Error) and heard[0].fatal
    return code, heard[0]
