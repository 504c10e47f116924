"""The Python client with a server that says only what a test wants it to say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from clients.python import Client, ClientError, ServerError, connect
from clients.python.session import Session
from clients.python.wire import Wire
from streamsep.protocol import Error, Hello, Message, Ready, Stats, decode, encode
from tests.serve.running import run

HELLO = Hello(1, 48_000, 1)
READY = Ready(
    version=1, session="s", resume="key", position=0, sent=0, frame=10, latency=0, window=10, model="", resumed=False
)
SOUND = np.zeros((1, 100), np.float32)
Answer = Callable[[Message], Message | None]


@asynccontextmanager
async def saying(answer: Answer) -> AsyncIterator[str]:
    """The address of a server that is ready and then gives ``answer`` to every message."""

    async def talk(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(encode(READY))
        async for data in socket:
            assert isinstance(data, bytes)
            if (said := answer(decode(data))) is not None:
                await socket.send(encode(said))

    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"


def test_a_new_session_that_is_lost_before_its_first_stems_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Hello] = []

    async def refused(url: str, hello: Hello) -> None:
        said.append(hello)
        raise ClientError("no.")

    async def talk() -> None:
        session = Session("", HELLO, 0, lambda _: None)
        session.ready, session._base, session.position = READY, 5_000, 300
        with pytest.raises(ClientError, match="no"):
            await session._open(first=False)

    monkeypatch.setattr(Wire, "open", refused)
    run(talk())
    assert [(hello.resume, hello.received) for hello in said] == [("key", 0)]


def test_closing_leaves_nobody_waiting() -> None:
    async def talk() -> None:
        async with saying(lambda _: None) as url:
            session = await connect(url, 48_000, 1, live=False)

            async def listen() -> None:
                assert [block async for block in session] == []

            tasks = [asyncio.create_task(task) for task in (session.send(SOUND), session.mark(), session.stats())]
            listening = asyncio.create_task(listen())
            await asyncio.sleep(0.1)
            await session.close()
            for error in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(error, ClientError) and str(error) == "the session is closed."
            await listening
            with pytest.raises(ClientError, match="is closed"):
                await listen()

    run(talk(), 10)


def test_nor_does_it_in_programs_that_block() -> None:
    async def talk() -> None:
        async with saying(lambda _: None) as url:
            await asyncio.to_thread(block, url)

    def block(url: str) -> None:
        client, errors = Client(url, 48_000, 1, live=False), []

        def wait() -> None:
            try:
                client.mark()
            except ClientError as error:
                errors.append(str(error))

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        thread.join(0.2)
        client.close()
        thread.join(5)
        assert errors == ["the session is closed."]

    run(talk(), 10)


def test_a_song_that_an_error_ended_is_not_over_for_them() -> None:
    async def talk() -> None:
        async with saying(lambda _: Error("auth", "the token is worn out.", True)) as url:
            await asyncio.to_thread(block, url)

    def block(url: str) -> None:
        with Client(url, 48_000, 1, live=False) as client:
            client.finish()
            for _ in range(3):
                with pytest.raises(ServerError, match="worn out"):
                    list(client)

    run(talk(), 10)


def test_sound_of_another_shape_and_changes_that_cannot_be_are_refused() -> None:
    async def talk() -> None:
        async with saying(lambda _: None) as url, await connect(url, 48_000, 2) as session:
            for shape in ((100,), (1, 100), (100, 2), (1, 2, 100)):
                with pytest.raises(ClientError, match=r"a block must be \[2, samples\], not \[1"):
                    await session.send(np.zeros(shape, np.float32))
            with pytest.raises(ClientError, match=r"'set\.gains\.vocals' must be"):
                await session.set(gains={"vocals": 9.0})
            await session.send(np.zeros((2, 100), np.float32))
            assert session._journal.position == 100

    run(talk(), 10)


def test_what_ended_a_session_is_said_to_whoever_asks() -> None:
    async def talk() -> None:
        def refuse(message: Message) -> Message | None:
            return Error("auth", "the token is worn out.", True) if isinstance(message, Stats) else None

        async with saying(refuse) as url, await connect(url, 48_000, 1, live=False) as session:
            for ask in (session.stats, session.finish, session.mark, lambda: session.send(SOUND)):
                with pytest.raises(ServerError, match="worn out"):
                    await ask()
            for _ in range(2):
                with pytest.raises(ServerError, match="worn out"):
                    await anext(aiter(session))

    run(talk(), 10)


def test_a_question_that_nobody_waits_for_any_more_spoils_no_other() -> None:
    asked: list[Message] = []

    def second(message: Message) -> Message | None:
        asked.extend([message] if isinstance(message, Stats) else [])
        return Stats(received=7) if len(asked) == 2 else None

    async def talk() -> None:
        async with saying(second) as url, await connect(url, 48_000, 1) as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await session.stats()
            assert (await session.stats()).received == 7

    run(talk(), 10)


def test_a_goodbye_to_who_has_gone_hides_no_error() -> None:
    class Gone:
        async def send(self, _: bytes) -> None:
            raise ConnectionClosed(Close(1_006, ""), None)

        async def close(self) -> None:
            pass

    run(Wire(Gone(), HELLO).close())  # type: ignore[arg-type]
