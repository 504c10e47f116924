"""Clients that do not read: what they may leave unread is bounded, and so is how long they can stay."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from streamsep.protocol import Audio, Error, encode
from streamsep.serve.options import ServeOptions
from streamsep.serve.outbox import MOST
from streamsep.serve.session import Session
from tests.serve.running import HELLO, Running, run, running
from tests.soak.attacks import Attack, deaf, deaf_guest, ping_flood, pinged

MINE = replace(HELLO, token="open sesame")
SOON = 15.0  # seconds: before websockets tries its first ping


@pytest.mark.parametrize("attack", [ping_flood, deaf_guest])
def test_who_does_not_read_is_closed(strict: Running, attack: Attack) -> None:
    assert run(attack(strict.url, MINE), SOON) == ""
    deadline = time.monotonic() + 10
    while strict.count("streamsep_connections"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_file_that_never_reads_its_stems_is_told_to_come_back(strict: Running) -> None:
    """It has said enough, so it is not idle; and it does not hear the server's pings."""
    hello, block = replace(MINE, rate=192_000, live=False), 10_000

    async def talk() -> None:
        sound = [encode(Audio(seq, seq * block, bytes(8 * block))) for seq in range(150)]
        writer = await deaf(strict.url, encode(hello), *sound)
        await asyncio.sleep(1)
        async with asyncio.timeout(SOON):
            while await asyncio.to_thread(strict.count, "streamsep_connections"):
                await asyncio.sleep(0.1)
        writer.close()

    before = strict.count('streamsep_errors_total{code="idle"}')
    run(talk())
    assert strict.count('streamsep_errors_total{code="idle"}') == before + 1


def test_nor_can_such_a_client_keep_the_server_from_going(model: Path) -> None:
    async def talk(url: str) -> asyncio.StreamWriter:
        writer = await deaf(url)
        assert not await pinged(writer, 8)
        return writer

    options = ServeOptions(port=0, model=str(model), max_sessions=1, drain_time=0.2, hello_timeout=60)
    with asyncio.Runner() as runner:
        with running(options) as server:
            writer = runner.run(talk(server.url))
            begun = time.monotonic()
        assert time.monotonic() - begun < SOON
        writer.close()


def test_answers_that_nobody_reads_are_not_heaped_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live session goes on without its oldest stems; answers do not give way, so no more is asked meanwhile."""
    monkeypatch.setattr("streamsep.serve.session.HOLD", 0.01)
    session = Session(HELLO, lambda *_: None)

    async def talk() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in range(3 * MOST):
                    await session.room()
                    session.outbox.push(Error("bad_message", "no.", False))
        assert len(session.outbox) == MOST + 1
        room = asyncio.create_task(session.room())
        await asyncio.sleep(0.05)
        await session.outbox.take()
        session.moved()
        await asyncio.wait_for(room, 1)

    run(talk())
