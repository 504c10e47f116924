"""The server as an ASGI application, driven by hand: the same stems, and limits where ASGI servers have none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from streamsep.engine.separator import Separator
from streamsep.protocol import (
    Ack,
    Audio,
    Bye,
    Error,
    Flush,
    Hello,
    Message,
    Ready,
    Stems,
    decode,
    decode_samples,
    encode,
    encode_samples,
)
from streamsep.serve.asgi import MOST_BYTES, Application, Wire
from streamsep.serve.core import Core
from streamsep.serve.options import ServeOptions
from tests.engine.helpers import stack
from tests.serve.running import run
from tests.sounds import tune

HELLO = Hello(1, 48_000, 2, live=False)
PAGE = {"type": "http", "method": "GET", "headers": []}


class Peer:
    """The ASGI server's side of one connection: ``events`` go in, what the application sends comes out."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.out: asyncio.Queue[Any] = asyncio.Queue()
        for event in events:
            self._in.put_nowait(event)

    async def receive(self) -> dict[str, Any]:
        return await self._in.get()

    async def send(self, event: Any) -> None:
        self.out.put_nowait(event)

    def tell(self, message: Message) -> None:
        self._in.put_nowait({"type": "websocket.receive", "bytes": encode(message), "text": None})

    def leave(self) -> None:
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def hear(self) -> Message:
        event = await self.out.get()
        assert event["type"] == "websocket.send", event
        return decode(event["bytes"])


@asynccontextmanager
async def living(options: ServeOptions, name: str = "") -> AsyncIterator[Application]:
    """The application between its start and its end."""
    application = Application(Core(options, name))
    peer = Peer({"type": "lifespan.startup"})
    task = asyncio.create_task(application({"type": "lifespan"}, peer.receive, peer.send))
    assert await peer.out.get() == {"type": "lifespan.startup.complete"}
    yield application
    peer._in.put_nowait({"type": "lifespan.shutdown"})
    await task
    assert peer.out.get_nowait() == {"type": "lifespan.shutdown.complete"}


@asynccontextmanager
async def calling(application: Application, **scope: Any) -> AsyncIterator[Peer]:
    """A WebSocket to the application, from the handshake on."""
    peer = Peer({"type": "websocket.connect"})
    scope = {"type": "websocket", "path": "/v1", "headers": [], **scope}
    task = asyncio.create_task(application(scope, peer.receive, peer.send))
    yield peer
    peer.leave()
    await task


async def greeted(peer: Peer, hello: Hello = HELLO) -> Ready | Error:
    assert await peer.out.get() == {"type": "websocket.accept"}
    peer.tell(hello)
    answer = await peer.hear()
    assert isinstance(answer, (Ready, Error))
    return answer


async def get(application: Application, path: str, method: str = "GET") -> tuple[int, bytes]:
    peer = Peer({"type": "http.request"})
    await application({**PAGE, "path": path, "method": method}, peer.receive, peer.send)
    return peer.out.get_nowait()["status"], peer.out.get_nowait()["body"]


def test_stems_wait_for_acks_and_are_those_of_separate(model: Path, separator: Separator) -> None:
    song = tune(6.0, 48_000)

    async def talk() -> np.ndarray:
        async with living(options) as application, calling(application) as peer:
            ready = await greeted(peer)
            assert isinstance(ready, Ready)
            for seq, start in enumerate(range(0, song.shape[1], 4_800)):
                peer.tell(Audio(seq, start, encode_samples(song[:, start : start + 4_800], "f32le")))
            peer.tell(Flush())
            blocks, end = [], 0
            while end <= ready.window:
                blocks.append(await stems(peer))
                end = blocks[-1].position + blocks[-1].count
            await asyncio.sleep(0.5)  # long enough for all of the song
            assert peer.out.empty()
            while end < song.shape[1]:
                peer.tell(Ack(end))
                blocks.append(await stems(peer))
                end = blocks[-1].position + blocks[-1].count
            peer.tell(Ack(end))
            assert await peer.hear() == Flush(song.shape[1])
            peer.tell(Bye())
            parts = [[decode_samples(data, "f32le", 2) for data in block.data.values()] for block in blocks]
            return np.concatenate([np.stack(part) for part in parts], axis=-1)

    async def stems(peer: Peer) -> Stems:
        message = await peer.hear()
        assert isinstance(message, Stems)
        return message

    options = ServeOptions(model=str(model), max_sessions=1, exact=True, acks=True)
    assert np.array_equal(run(talk()), stack(separator.separate(song, 48_000)))


def test_who_may_come_in_and_who_comes_back_to_the_wrong_server(model: Path) -> None:
    async def talk() -> None:
        async with living(ServeOptions(model=str(model), max_sessions=1), "left") as application:
            async with calling(application) as first:
                ready = await greeted(first)
                assert isinstance(ready, Ready) and ready.resume.endswith(".left")
                async with calling(application) as second:  # full: told so, then closed
                    full = await greeted(second)
                    assert isinstance(full, Error) and full.code == "full" and full.retry_after
                    assert await second.out.get() == {"type": "websocket.close", "code": 1013, "reason": "full"}
            for key, wait in ((ready.resume, None), ("guessed.left", None), ("guessed.right", 0.1), ("guessed", None)):
                async with calling(application) as back:
                    answer = await greeted(back, replace(HELLO, resume=key))
                    if key == ready.resume:
                        assert isinstance(answer, Ready) and answer.resumed
                    else:
                        assert isinstance(answer, Error) and (answer.code, answer.retry_after) == ("resume", wait)
            assert (await get(application, "/readyz"))[0] == 200
            assert b"streamsep_sessions 1.0" in (await get(application, "/metrics"))[1]

    run(talk())


def test_pages_and_doors_without_an_engine() -> None:
    async def talk() -> None:
        application = Application(Core(ServeOptions(max_sessions=1, origins=("https://radio.example",))))
        assert await get(application, "/healthz") == (200, b"ok\n")
        assert (await get(application, "/readyz"))[0] == 503
        status, page = await get(application, "/")
        assert status == 200 and b"<!doctype html>" in page.lower()
        assert await get(application, "/", "HEAD") == (200, b"")
        assert (await get(application, "/", "POST"))[0] == 405
        assert (await get(application, "/../pyproject.toml"))[0] == 404
        foreign = [(b"origin", b"https://elsewhere.example"), (b"host", b"here")]
        async with calling(application, headers=foreign) as peer:
            assert (await peer.out.get())["type"] == "websocket.close"  # before accept: a refused handshake
        for headers, path, status in ((foreign, "/v1", 403), ([], "/v2", 404)):
            extensions = {"websocket.http.response": {}}
            async with calling(application, headers=headers, path=path, extensions=extensions) as peer:
                assert (await peer.out.get())["status"] == status
        async with calling(application, headers=[(b"origin", b"https://radio.example")]) as peer:
            answer = await greeted(peer)  # comes in, but there is no engine
            assert isinstance(answer, Error) and answer.code == "full"

    run(talk())


def test_an_engine_that_cannot_start_is_said(tmp_path: Path) -> None:
    async def talk() -> dict[str, Any]:
        peer = Peer({"type": "lifespan.startup"})
        await Application(Core(ServeOptions(model=str(tmp_path))))({"type": "lifespan"}, peer.receive, peer.send)
        return peer.out.get_nowait()

    event = run(talk())
    assert event["type"] == "lifespan.startup.failed" and "is no model" in event["message"]


@pytest.mark.parametrize(("size", "count", "code"), [(1_001, 1, 1009), (1_000, MOST_BYTES // 1_000 + 1, 1008)])
def test_giants_and_floods_are_closed(size: int, count: int, code: int) -> None:
    async def talk() -> None:
        message = {"type": "websocket.receive", "bytes": bytes(size)}
        peer = Peer({"type": "websocket.connect"}, *(count * [message]))
        async with Wire(peer.receive, peer.send, 1_000) as wire:
            while wire._over is None:
                await asyncio.sleep(0)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    assert len(await wire.recv()) == size
            assert closed.value.rcvd is not None and closed.value.rcvd.code == code
            with pytest.raises(ConnectionClosed):
                await wire.send(b"")
        assert [peer.out.get_nowait()["type"] for _ in range(2)] == ["websocket.accept", "websocket.close"]
        assert peer.out.empty()

    run(talk())


def test_what_came_before_the_end_is_heard_and_nothing_is_sent_after_it() -> None:
    async def talk() -> None:
        events: list[dict[str, Any]] = [{"type": "websocket.receive", "text": "a"}]
        peer = Peer({"type": "websocket.connect"}, *events, {"type": "websocket.receive", "bytes": b"b"})
        peer.leave()
        async with Wire(peer.receive, peer.send, 1_000) as wire:
            assert [await wire.recv(), await wire.recv()] == ["a", b"b"]
            with pytest.raises(ConnectionClosedOK):
                await wire.recv()
            await wire.close(1013, "full")
        assert peer.out.get_nowait() == {"type": "websocket.accept"} and peer.out.empty()

    run(talk())
