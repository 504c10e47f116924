"""A writer that is faster than the model is paced by TCP for as long as it takes: it is not taken for dead."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

import pytest

from streamsep.protocol import Audio, Flush, Hello, Stems
from streamsep.serve.server import Door, Server
from tests.serve.running import Raw, Running, greet, raw, run

RATE, BLOCK = 48_000, 12_000
SECONDS = 6


def test_pongs_that_wait_behind_sound_end_no_connection(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Door.start_keepalive

    def hastily(door: Door) -> None:
        """A hundredth of every time."""
        door.ping_interval = None if door.ping_interval is None else door.ping_interval / 100
        door.ping_timeout = None if door.ping_timeout is None else door.ping_timeout / 100
        keep(door)

    def ends(server: Server) -> list[Any]:
        assert server._server is not None
        return [connection.transport.get_extra_info("socket") for connection in server._server.connections]

    async def write(mine: Raw) -> None:
        for seq in range(SECONDS * RATE // BLOCK):
            await mine.send(Audio(seq, seq * BLOCK, bytes(8 * BLOCK)))
        await mine.send(Flush())

    async def talk() -> None:
        # What the kernels hold of their own accord is more than the test sends.
        mine_end = socket.create_connection(("127.0.0.1", server.server.port))
        mine_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        async with raw(server.url, sock=mine_end, ping_interval=None) as mine:
            await greet(mine, Hello(1, RATE, 2, live=False, stems=("vocals",)))
            for its_end in server.inside(ends):
                its_end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            os.kill(engine, signal.SIGSTOP)
            writing = asyncio.create_task(write(mine))
            await asyncio.sleep(1.5)
            assert not writing.done()
            os.kill(engine, signal.SIGCONT)
            position = 0
            while not isinstance(message := await mine.receive(), Flush):
                if isinstance(message, Stems):
                    position = message.position + message.count
            assert position == message.position == SECONDS * RATE

    monkeypatch.setattr(Door, "start_keepalive", hastily)
    engine = server.inside(lambda s: s.engine.pid)
    try:
        run(talk())
    finally:
        os.kill(engine, signal.SIGCONT)
