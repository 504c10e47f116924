"""The Python client when connections and sessions are lost, with a real server and with one that loses everybody."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from clients.python import ClientError, ServerError, Session, connect
from streamsep.protocol import Error, Hello, Ready, encode
from tests.clients.test_sessions import READY
from tests.serve.running import Running, collect, raw, run
from tests.sounds import tune

SONG = tune(1.0, 48_000)
SILENT = dict.fromkeys(("vocals", "drums", "bass", "other"), 0.0)


@pytest.mark.parametrize("said", [None, Error("engine", "the engine gave the session up.", True)])
def test_a_server_that_ends_every_connection_is_given_up(said: Error | None) -> None:
    """It is always ready, and always gone at the first sound."""
    welcomed: list[ServerConnection] = []

    async def talk(socket: ServerConnection) -> None:
        welcomed.append(socket)
        await socket.recv()
        await socket.send(encode(READY))
        await socket.recv()
        if said is not None:
            await socket.send(encode(said))

    async def play() -> None:
        async with serve(talk, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"
            async with await connect(url, 48_000, 2, patience=0.5) as session:
                await session.send(SONG)
                with pytest.raises(ClientError) as error:
                    await anext(aiter(session))
        assert ("gave the session up" if said else "before it gives stems") in str(error.value)

    run(play(), 10)
    assert 1 < len(welcomed) < 10


def test_a_session_that_somebody_else_took_is_not_begun_anew(server: Running) -> None:
    async def play() -> None:
        async with await connect(server.url, 48_000, 2) as session, raw(server.url) as other:
            await other.send(Hello(1, 48_000, 2, resume=session.ready.resume))
            assert isinstance(await other.receive(), Ready)
            with pytest.raises(ServerError, match="goes on in another connection"):
                await anext(aiter(session))
            assert server.inside(lambda s: s.hub.sessions) == 1

    run(play(), 10)


@pytest.mark.parametrize("turns", range(4))
def test_stats_that_are_asked_for_while_the_connection_breaks_come_later(server: Running, turns: int) -> None:
    async def play() -> None:
        async with await connect(server.url, 48_000, 2) as session:
            await session.drop()
            for _ in range(turns):
                await asyncio.sleep(0)
            assert (await session.stats()).received == 0
            assert session.reconnects == 1

    run(play(), 10)


def test_a_mark_is_answered_in_another_connection_than_it_was_set_in(server: Running) -> None:
    async def play() -> None:
        async with await connect(server.url, 48_000, 2, live=False) as session:
            await session.send(SONG[:, :4_800])
            mark = asyncio.create_task(session.mark())
            await asyncio.sleep(0)
            await session.send(SONG[:, 4_800:5_280])  # not enough for the stems before the mark
            while (await session.stats()).received != 5_280:
                pass
            await session.drop()
            await session.finish()
            assert await mark == 4_800 and session.reconnects == 1

    run(play(), 10)


async def forgotten(session: Session) -> None:
    """The session's connection is lost, and the session with it, after its first stems."""
    while session.position < 4_800:
        await asyncio.sleep(0.01)
    while not session.restarts:
        before = session.reconnects
        await session.drop()
        while session.reconnects == before:
            await asyncio.sleep(0.01)


def mixed(running: Running, *changes: tuple[int | None, dict[str, float]]) -> np.ndarray:
    """What comes back of SONG under gains, each from its position on, when the session is lost after 9,600 samples."""

    async def play() -> np.ndarray:
        async with await connect(running.url, 48_000, 2, live=False, stems=("mix",)) as session:
            for position, gains in changes:
                await session.set(position, gains=gains)
            await session.send(SONG[:, :9_600])
            await forgotten(session)
            await session.send(SONG[:, 9_600:])
            await session.finish()
            return (await collect(session))["mix"]

    return run(play(), 10)


def test_a_new_session_has_the_faders_where_they_were(forgetful: Running) -> None:
    mix = mixed(forgetful, (None, {"vocals": 0.0, "drums": 0.0}), (None, {"bass": 0.0, "other": 0.0}))
    assert mix.shape == SONG.shape and np.abs(mix[:, 14_400:]).max() < 1e-3


def test_and_moves_them_when_they_were_to_be_moved(forgetful: Running) -> None:
    mix = mixed(forgetful, (24_000, SILENT))
    np.testing.assert_allclose(mix[:, :24_000], SONG[:, :24_000], atol=1e-4)
    assert np.abs(mix[:, 28_800:]).max() < 1e-3
