"""Stems over a real socket are those of the offline separation, whatever happens to the connection."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from clients.python import Client, connect
from streamsep.config import STEMS
from streamsep.engine.separator import Separator
from streamsep.protocol import Ack, Audio, Error, Flush, Mark, Ready, Set, Stats, Stems, encode_samples
from tests.engine.helpers import stack
from tests.serve.running import HELLO, Raw, Running, collect, greet, raw, refusal, run, separate
from tests.sounds import tune


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 2), (44_100, 1), (96_000, 2), (8_000, 1)])
def test_stems_equal_the_offline_separation(server: Running, separator: Separator, rate: int, channels: int) -> None:
    song = tune(1.0, rate, channels)
    stems = run(separate(server.url, song, rate, block=3_333))
    assert np.array_equal(stack(stems), stack(separator.separate(song, rate)))


@pytest.mark.parametrize("lookahead", [-1, 2])
def test_every_lookahead(server: Running, separator: Separator, lookahead: int) -> None:
    song = tune(0.6, 48_000)
    stems = run(separate(server.url, song, lookahead=lookahead))
    assert np.array_equal(stack(stems), stack(separator.separate(song, 48_000, lookahead)))


def test_codec_render(server: Running, separator: Separator) -> None:
    song = tune(0.4, 48_000)
    stems = run(separate(server.url, song, render="codec"))
    expected = stack(Separator(separator.net, render="codec").separate(song, 48_000))
    assert np.array_equal(stack(stems), expected)


def test_sixteen_bits(server: Running, separator: Separator) -> None:
    song = np.round(tune(0.5, 48_000) * 32_768).astype(np.float32) / 32_768
    stems = run(separate(server.url, song, format="s16le", stems=("vocals", "mix")))
    assert set(stems) == {"vocals", "mix"}
    step = 1 / 32_768
    np.testing.assert_allclose(stems["vocals"], separator.separate(song, 48_000)["vocals"], atol=0.51 * step)
    np.testing.assert_allclose(stems["mix"], song, atol=4 * step)


def test_the_blocking_client(server: Running, separator: Separator) -> None:
    song = tune(0.5, 48_000)
    with Client(server.url, 48_000, 2, live=False, stems=("bass", "mix")) as client:
        for _ in range(2):  # a song after a song
            client.send(song)
            client.finish()
            blocks = [block.stems for block in client]
            bass = np.concatenate([block["bass"] for block in blocks], axis=1)
            assert np.array_equal(bass, separator.separate(song, 48_000)["bass"])
        client.set(gains={"bass": 0.0}, solo=("bass",))
        client.send(song)
        client.finish()
        mix = np.concatenate([block.stems["mix"] for block in client], axis=1)
        assert np.abs(mix[:, 4_800:]).max() < 1e-4


def test_many_drops_in_mid_song(server: Running, separator: Separator) -> None:
    song = tune(4.0, 48_000)

    async def play() -> tuple[dict[str, np.ndarray], int, int]:
        session = await connect(server.url, 48_000, 2, live=False)

        async def send() -> None:
            for start in range(0, song.shape[1], 4_800):
                await session.send(song[:, start : start + 4_800])
                if start in (48_000, 52_800, 120_000):
                    await asyncio.sleep(0.05)
                    await session.drop()
            await session.finish()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            stems = group.create_task(collect(session))
        await session.close()
        return stems.result(), session.reconnects, session.restarts

    stems, reconnects, restarts = run(play())
    assert reconnects >= 2 and restarts == 0
    assert np.array_equal(stack(stems), stack(separator.separate(song, 48_000)))


def test_songs_do_not_hear_one_another(server: Running, separator: Separator) -> None:
    """Eight sessions of different songs that join, drop, come back, leave and are replaced."""
    rng = np.random.default_rng(8)
    songs = [tune(float(rng.uniform(0.5, 2)), 48_000, seed=seed) for seed in range(8)]

    async def one(seed: int) -> None:
        await asyncio.sleep(float(rng.uniform(0, 0.5)))
        song = songs[seed]
        session = await connect(server.url, 48_000, 2, live=False, lookahead=seed % 4 - 1)

        async def send() -> None:
            for start in range(0, song.shape[1], 4_000):
                await session.send(song[:, start : start + 4_000])
                if rng.random() < 0.1:
                    await session.drop()
                await asyncio.sleep(0.01)
            await session.finish()

        if seed == 3:  # leaves in mid-song; somebody else takes the place
            await session.send(song)
            await session.close()
            stems = await separate(server.url, song, lookahead=2)
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(send())
                result = group.create_task(collect(session))
            await session.close()
            stems = result.result()
        expected = separator.separate(song, 48_000, seed % 4 - 1)
        assert np.array_equal(stack(stems), stack(expected)), seed

    async def every() -> None:
        await asyncio.gather(*(one(seed) for seed in range(8)))

    run(every())


async def play(socket: Raw, song: np.ndarray, first: int = 0, block: int = 4_800) -> None:
    for seq, start in enumerate(range(first, song.shape[1], block)):
        await socket.send(Audio(seq, start, encode_samples(song[:, start : start + block], "f32le")))


def test_resume_by_hand(server: Running, separator: Separator) -> None:
    """What a client in another language does: resume at `received`, send from `position`, no sample twice or lost."""
    song = tune(1.0, 48_000)

    async def talk() -> bytes:
        heard, vocals = 0, b""
        async with raw(server.url) as socket:
            ready = await greet(socket, replace(HELLO, stems=("vocals",)))
            assert (ready.position, ready.sent, ready.resumed, ready.frame) == (0, 0, False, 1_920)
            assert ready.latency == 2_880
            await play(socket, song[:, :24_000])
            while heard < 10_000:
                stems = await socket.until(Stems)
                heard, vocals = stems.position + stems.count, vocals + stems.data["vocals"]
            socket.socket.transport.abort()
        async with raw(server.url) as socket:
            again = await greet(socket, replace(HELLO, resume=ready.resume, received=heard - 100))
            assert again.resumed and again.session == ready.session and again.lost == 0
            assert again.resume != ready.resume and again.sent == heard - 100
            vocals = vocals[: -100 * 8]
            await play(socket, song, max(0, again.position - 960))  # some of it is known: that is ignored
            await socket.send(Flush())
            while isinstance(message := await socket.receive(), Stems):
                assert message.position * 8 == len(vocals)
                vocals += message.data["vocals"]
            assert message == Flush(48_000)
            replayed, error = await refusal(server.url, replace(HELLO, resume=ready.resume))
            assert (replayed, error.code) == (4_000, "resume")
        return vocals

    vocals = run(talk())
    expected = encode_samples(separator.separate(song, 48_000)["vocals"], "f32le")
    assert vocals == expected


def test_a_key_works_until_the_next_one_has_arrived(server: Running) -> None:
    """The line breaks behind hello and before ready, twice: the client has no other key than its first."""

    async def talk() -> None:
        async with raw(server.url) as socket:
            ready = await greet(socket)
            await play(socket, tune(0.2, 48_000))
            socket.socket.transport.abort()
        back = replace(HELLO, resume=ready.resume, received=0)
        for _ in range(2):
            async with raw(server.url) as socket:
                await socket.send(back)
                assert isinstance(await socket.receive(), Ready)  # of which the client says nothing
                socket.socket.transport.abort()
        async with raw(server.url) as socket:
            again = await greet(socket, back)
            assert (again.session, again.position, again.sent, again.lost) == (ready.session, 9_600, 0, 0)
            await socket.send(Flush())
            assert (await socket.until(Flush)).position == 9_600
            for key in (ready.resume, "guessed"):
                _, error = await refusal(server.url, replace(HELLO, resume=key))
                assert error.code == "resume"

    run(talk())


def test_a_model_may_have_a_long_name(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    started = server.server.engine.started
    assert started is not None
    monkeypatch.setattr(server.server.engine, "started", replace(started, model="x" * 100))

    async def talk() -> str:
        async with raw(server.url) as socket:
            return (await greet(socket)).model

    assert run(talk()) == "x" * 80


def test_a_session_taken_over_by_another_connection(server: Running) -> None:
    async def talk() -> None:
        async with raw(server.url) as old:
            ready = await greet(old)
            async with raw(server.url) as new:
                again = await greet(new, replace(HELLO, resume=ready.resume))
                assert again.session == ready.session
                code, heard = await old.closed()
                assert code == 4_000 and isinstance(heard[-1], Error) and heard[-1].code == "resume"
                await play(new, tune(0.2, 48_000))
                await new.send(Flush())
                assert (await new.until(Flush)).position == 9_600

    run(talk())


def test_answers_stand_in_their_place(server: Running) -> None:
    async def talk() -> None:
        async with raw(server.url) as socket:
            await greet(socket)
            await socket.send(Set(position=4_801, stems=("drums",)))
            assert await socket.until(Set) == Set(position=4_801, stems=("drums",))
            await play(socket, tune(0.2, 48_000))
            await socket.send(Mark(7))
            await socket.send(Flush())
            kinds: list[tuple[set[str], int]] = []
            while isinstance(message := await socket.receive(), Stems):
                kinds.append((set(message.data), message.position))
                await socket.send(Ack(message.position))
            assert message == Mark(7, 9_600)
            assert await socket.receive() == Flush(9_600)
            assert all(names == (set(STEMS) if at < 4_801 else {"drums"}) for names, at in kinds)
            assert 4_801 in [at for _, at in kinds]
            await socket.send(Stats())
            stats = await socket.until(Stats)
            assert (stats.received, stats.sent, stats.queue, stats.dropped) == (9_600, 9_600, 0, 0)
            assert stats.limit == 8 and stats.sessions >= 1

    run(talk())


def test_a_short_gap_is_silence_and_a_long_one_the_end(server: Running, separator: Separator) -> None:
    song = tune(0.5, 48_000)
    song[:, 4_800:9_600] = 0

    async def talk() -> tuple[bytes, Error]:
        data = b""
        async with raw(server.url) as socket:
            await greet(socket, replace(HELLO, stems=("other",)))
            await play(socket, song[:, :4_800])
            await play(socket, song, 9_600)
            await socket.send(Flush())
            error = None
            while not isinstance(message := await socket.receive(), Flush):
                if isinstance(message, Error):
                    error = message
                elif isinstance(message, Stems):
                    data += message.data["other"]
            assert error is not None and (error.position, error.lost, error.fatal) == (4_800, 4_800, False)
            await socket.send(Audio(0, 24_000 + 48_001, b""))
            code, heard = await socket.closed()
            assert code == 4_000 and isinstance(heard[-1], Error)
            return data, heard[-1]

    before = server.count('streamsep_errors_total{code="gap"}')
    data, error = run(talk())
    assert data == encode_samples(separator.separate(song, 48_000)["other"], "f32le")
    assert error.code == "gap" and error.fatal
    assert server.count('streamsep_errors_total{code="gap"}') == before + 2  # both were told
