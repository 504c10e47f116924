"""Who must not come in, does not; who misbehaves is told or closed, and the others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import msgpack
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streamsep.engine.separator import Separator
from streamsep.protocol import Audio, Bye, Error, Flush, Hello, Mark, Ping, Pong, Set, Stats, Stems, encode
from streamsep.serve.options import ServeOptions
from streamsep.serve.session import Session
from streamsep.serve.traffic import Event, Round
from tests.engine.helpers import stack
from tests.serve.running import HELLO, Running, greet, raw, refusal, run, running, separate
from tests.sounds import tune

MINE = replace(HELLO, token="open sesame")


@pytest.mark.parametrize(
    ("first", "close", "code", "said"),
    [
        (HELLO, 1_008, "auth", "missing or wrong"),
        (replace(HELLO, token="open sesam"), 1_008, "auth", "missing or wrong"),
        (replace(HELLO, token="ключ"), 1_008, "auth", "missing or wrong"),
        (replace(MINE, resume="guessed"), 4_000, "resume", "unknown, used or expired"),
        (msgpack.packb({"kind": "hello", "version": 2}), 4_000, "version", "version 2 is unknown"),
        (Ping(1), 4_000, "hello", "must be hello, not ping"),
        (b"\xff" * 50, 4_000, "hello", "msgpack"),
        ("hello", 4_000, "hello", "text messages are not used"),
        (msgpack.packb({"kind": "hello", "version": 1, "rate": 1}), 4_000, "hello", "hello.channels"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_refused_at_the_door(strict: Running, first: Hello | bytes | str, close: int, code: str, said: str) -> None:
    before = strict.count(f'streamsep_errors_total{{code="{code}"}}')
    got, error = run(refusal(strict.url, first))
    assert (got, error.code) == (close, code)
    assert said in error.sentence and error.sentence.endswith(".")
    assert strict.count(f'streamsep_errors_total{{code="{code}"}}') == before + 1


def test_a_full_server_says_when_to_come_back(strict: Running) -> None:
    async def talk() -> None:
        async with raw(strict.url) as first, raw(strict.url) as second:
            await greet(first, MINE)
            await greet(second, MINE)
            code, error = await refusal(strict.url, MINE)
            assert (code, error.code) == (1_013, "full")
            assert error.retry_after is not None and error.retry_after >= 1
            await second.send(Bye())
            assert (await second.closed())[0] == 1_000
            async with raw(strict.url) as third:
                await greet(third, MINE)
                await third.send(Bye())
                await third.closed()
            await first.send(Bye())
            await first.closed()

    run(talk())


def test_who_says_nothing_is_closed(strict: Running) -> None:
    async def talk() -> None:
        async with raw(strict.url) as socket:
            code, heard = await socket.closed()
            assert code == 4_000 and isinstance(heard[0], Error) and heard[0].code == "hello"
        async with raw(strict.url) as socket:
            ready = await greet(socket, MINE)
            code, heard = await socket.closed()
            assert code == 1_008 and isinstance(heard[0], Error) and heard[0].code == "idle"
        await asyncio.sleep(0.7)  # longer than the server keeps a session that nobody comes back to
        _, error = await refusal(strict.url, replace(MINE, resume=ready.resume))
        assert error.code == "resume"

    run(talk())
    assert strict.count("streamsep_sessions") == 0


def test_a_handshake_in_drops_is_cut_off(strict: Running) -> None:
    async def drip() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(strict.url).port)
        for letter in b"GET /v1 HTTP/1.1\r\n" * 100:
            writer.write(bytes([letter]))
            await asyncio.sleep(0.05)
            if reader.at_eof():
                break
        writer.close()
        return await reader.read()

    async def limited() -> bytes:
        async with asyncio.timeout(10):
            return await drip()

    assert b"101" not in run(limited())


def test_a_giant_message_closes_its_own_connection_only(strict: Running, separator: Separator) -> None:
    song = tune(0.5, 48_000)

    async def giant() -> int:
        async with raw(strict.url) as socket:
            await greet(socket, MINE)
            await socket.send(encode(Audio(0, 0, bytes(200_000))))
            return (await socket.closed())[0]

    async def both() -> None:
        code, stems = await asyncio.gather(giant(), separate(strict.url, song, token="open sesame", block=2_000))
        assert code == 1_009
        np.testing.assert_allclose(stack(stems), stack(separator.separate(song, 48_000)), atol=1e-5)

    run(both())


def test_compression_is_not_spoken(server: Running) -> None:
    async def talk() -> str | None:
        async with connect(server.url, compression="deflate") as socket:
            assert socket.response is not None
            return socket.response.headers.get("Sec-WebSocket-Extensions")

    assert run(talk()) is None


def test_mistakes_are_told_and_the_tenth_is_the_last(server: Running) -> None:
    wrong = [b"", b"\x80", "text", encode(HELLO), msgpack.packb({"kind": "audio", "seq": 0, "position": 0, "data": 3})]

    async def talk() -> None:
        async with raw(server.url) as socket:
            await greet(socket)
            for message in wrong:
                await socket.send(message)
                error = await socket.until(Error)
                assert error.code == "bad_message" and not error.fatal
            await socket.send(Audio(0, 0, bytes(7)))
            assert (await socket.until(Error)).code == "bad_audio"
            await socket.send(msgpack.packb({"kind": "lyrics", "text": "la"}))  # of a later version: ignored
            await socket.send(Ping(5))
            assert await socket.until(Pong) == Pong(5)
            for _ in range(4):
                await socket.send(b"\xc1")
            code, heard = await socket.closed()
            assert code == 4_000
            assert isinstance(heard[-1], Error) and heard[-1].fatal and "10 messages" in heard[-1].sentence

    run(talk())


@pytest.mark.parametrize("position", [(1 << 53) - 1, 1 << 53, 48_000 * 3_601])
def test_a_change_in_the_distant_future_is_refused(server: Running, separator: Separator, position: int) -> None:
    song = tune(0.3, 48_000)

    async def talk() -> None:
        async with raw(server.url) as socket:
            await greet(socket)
            await socket.send(Set(position=position, lookahead=1))
            error = await socket.until(Error)
            assert error.code == "bad_message" and "an hour ahead" in error.sentence and not error.fatal
            await socket.send(Set(position=48_000 * 3_599, solo=("vocals",)))
            assert (await socket.until(Set)).position == 48_000 * 3_599

    run(talk())
    assert np.array_equal(stack(run(separate(server.url, song))), stack(separator.separate(song, 48_000)))


def test_a_fault_ends_its_own_session_only(
    server: Running, separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    song, answer = tune(0.5, 48_000), Session.event

    def broken(session: Session, event: Event) -> int:
        if session.hello.client == "doomed":
            raise RuntimeError("a fault")
        return answer(session, event)

    monkeypatch.setattr(Session, "event", broken)

    async def doomed() -> None:
        async with raw(server.url) as socket:
            await greet(socket, replace(HELLO, client="doomed"))
            await socket.send(Mark(1))
            code, heard = await socket.closed()
            assert code == 4_000
            assert isinstance(heard[-1], Error) and heard[-1].fatal and "gave the session up" in heard[-1].sentence

    async def both() -> None:
        _, stems = await asyncio.gather(doomed(), separate(server.url, song))
        assert np.array_equal(stack(stems), stack(separator.separate(song, 48_000)))

    run(both())


def test_noise_harms_nobody(server: Running, separator: Separator) -> None:
    """Hundreds of broken messages beside a song; see test_fuzz for what the decoder alone must bear."""
    rng = np.random.default_rng(1)
    valid = [encode(m) for m in (HELLO, Audio(0, 0, bytes(800)), Flush(), Stats(), Ping(3))]
    song = tune(1.0, 48_000)

    async def noise() -> None:
        for _ in range(15):
            async with raw(server.url) as socket:
                await greet(socket)
                with contextlib.suppress(ConnectionClosed):  # after the tenth mistake
                    for _ in range(40):
                        data = bytearray(valid[int(rng.integers(len(valid)))])
                        for _ in range(int(rng.integers(1, 4))):
                            data[int(rng.integers(len(data)))] = int(rng.integers(256))
                        await socket.send(bytes(data[: int(rng.integers(1, len(data) + 1))]))

    async def both() -> None:
        _, stems = await asyncio.gather(noise(), separate(server.url, song))
        assert np.array_equal(stack(stems), stack(separator.separate(song, 48_000)))

    run(both())
    assert server.inside(lambda s: s.engine.restarts) == 0


def test_pages_of_other_origins(server: Running) -> None:
    async def talk(origin: str | None) -> int:
        try:
            async with connect(server.url, additional_headers={"Origin": origin} if origin else {}):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    host = urlsplit(server.url).netloc
    for origin, status in (
        (None, 101),
        (f"http://{host}", 101),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ):
        assert run(talk(origin)) == status


def test_plain_pages(server: Running) -> None:
    assert server.get("healthz") == (200, "ok\n")
    assert server.get("readyz") == (200, "ready\n")
    status, text = server.get("metrics")
    assert status == 200
    for name in ("sessions", "frame_seconds_bucket", "queue_seconds", "late_frames_total", "fallbacks_total"):
        assert re.search(f"^streamsep_{name}", text, re.MULTILINE), name
    for path in ("nothing", "../../pyproject.toml", "%2e%2e/%2e%2e/pyproject.toml", "..%2fPROTOCOL.md", "%00"):
        assert server.get(path)[0] in (400, 404)


def test_a_live_reader_that_is_too_slow_loses_the_oldest(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsep.serve.session.HOLD", 0.05)
    rate, block = 192_000, 120_000
    hello = Hello(1, rate, 2, live=True)

    def dropping() -> None:
        while server.count("streamsep_dropped_seconds_total") < 1:
            time.sleep(0.05)

    async def talk() -> None:
        async with raw(server.url, max_queue=1) as socket:
            await greet(socket, hello)
            for seq in range(16):  # ten seconds, 60 MB of stems, and nobody reads
                await socket.send(Audio(seq, seq * block, bytes(8 * block)))
            await socket.send(Flush())
            await asyncio.to_thread(dropping)
            position = gone = 0
            while not isinstance(message := await socket.receive(), Flush):
                if isinstance(message, Stems):
                    gone += message.position - position
                    assert message.dropped >= gone
                    position = message.position + message.count
            assert position == message.position == 16 * block
            assert 0 < gone < 16 * block

    run(talk())


def test_a_file_waits_for_its_reader(server: Running) -> None:
    rate, block = 192_000, 120_000

    async def talk() -> None:
        async with raw(server.url, max_queue=1) as socket:
            await greet(socket, Hello(1, rate, 2, live=False))

            async def send() -> None:
                for seq in range(16):
                    await socket.send(Audio(seq, seq * block, bytes(8 * block)))
                await socket.send(Flush())

            sender = asyncio.create_task(send())
            await asyncio.sleep(1)
            position = 0
            while not isinstance(message := await socket.receive(), Flush):
                if isinstance(message, Stems):
                    assert message.position == position and message.dropped == 0
                    position = message.position + message.count
            assert position == 16 * block
            await sender

    run(talk())


def test_a_machine_that_became_too_slow_lets_nobody_else_in(model: Path) -> None:
    """The limit was measured; sessions that are late since then are not made later by one more."""

    async def talk(server: Running) -> None:
        async with raw(server.url) as first:
            ready = await greet(first)

            def rounds(late: bool) -> None:
                for number in range(200):
                    server.server.engine.on_round(Round(batch=1, late={ready.session: number * late}))

            server.inside(lambda _: rounds(True))
            code, error = await refusal(server.url, HELLO)
            assert (code, error.code) == (1_013, "full") and "too slow" in error.sentence and error.retry_after
            server.inside(lambda _: rounds(False))
            async with raw(server.url) as second:
                await greet(second)

    with running(ServeOptions(port=0, model=str(model), max_sessions=3)) as server:
        server.server.hub.measured = True  # measured it would be another on every machine
        run(talk(server))
