"""Opus over a real socket: the stems of the decoded mixture at the right samples, through drops and changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from clients.python import connect
from streamsep.engine.separator import Separator
from streamsep.protocol import Audio, Error, Flush, Mark, OpusReader, OpusWriter, Set, Stems
from tests.protocol.test_opus import smooth, snr
from tests.serve.running import HELLO, Running, collect, greet, raw, run, separate

OPUS = replace(HELLO, format="opus")


@pytest.mark.parametrize("channels", [1, 2])
def test_stems_are_those_of_the_offline_separation(server: Running, separator: Separator, channels: int) -> None:
    song = smooth(1.5, channels)
    got = run(separate(server.url, song, format="opus", stems=("vocals", "other", "mix")))
    expected = separator.separate(song, 48_000)
    for name, sound in (("vocals", expected["vocals"]), ("other", expected["other"]), ("mix", song)):
        assert got[name].shape == song.shape
        assert snr(got[name][:, 4_800:], sound[:, 4_800:]) > 10, name


def test_drops_in_mid_song(server: Running, separator: Separator) -> None:
    song = smooth(3.0, 2)

    async def play() -> dict[str, np.ndarray]:
        async with await connect(server.url, 48_000, 2, live=False, format="opus") as session:

            async def send() -> None:
                for start in range(0, song.shape[1], 5_000):
                    await session.send(song[:, start : start + 5_000])
                    if start in (50_000, 100_000):
                        await asyncio.sleep(0.05)
                        await session.drop()
                await session.finish()

            async with asyncio.TaskGroup() as group:
                group.create_task(send())
                stems = group.create_task(collect(session))
            assert session.reconnects >= 1 and session.restarts == session.lost == 0
            return stems.result()

    got = run(play())
    expected = separator.separate(song, 48_000)
    for name, sound in got.items():
        assert sound.shape == song.shape
        assert snr(sound[:, 4_800:], expected[name][:, 4_800:]) > 8, name


def test_marks_and_changes_cut_the_packets(server: Running) -> None:
    song = smooth(0.2, 2)

    async def talk() -> None:
        async with raw(server.url) as socket:
            await greet(socket, replace(OPUS, stems=("vocals",)))
            await socket.send(Set(position=5_000, stems=("drums", "bass")))
            writer = OpusWriter(2)
            for seq, packet in enumerate([*writer.push(0, song), *writer.drain()]):
                await socket.send(Audio(seq, packet.position, packet.data, packet.count))
            await socket.send(Mark(3))
            await socket.send(Flush())
            position, readers = 0, {name: OpusReader(2) for name in ("vocals", "drums", "bass")}
            while not isinstance(message := await socket.receive(), Mark):
                if isinstance(message, Stems):
                    assert message.position == position
                    assert (
                        set(message.data) == ({"vocals"} if position < 5_000 else {"drums", "bass"})
                        or not message.count
                    )
                    for name, data in message.data.items():
                        assert readers[name].read(data, message.count).shape == (2, message.count)
                    position += message.count
            assert position == message.position == 9_600
            assert await socket.receive() == Flush(9_600)

    run(talk())


def test_what_is_no_packet_is_told(server: Running) -> None:
    async def talk() -> None:
        async with raw(server.url) as socket:
            await greet(socket, OPUS)
            for data in (b"", b"\xff\xff\xff\x00", bytes(5_000)):
                await socket.send(Audio(0, 0, data))
                error = await socket.until(Error)
                assert error.code == "bad_audio" and not error.fatal
            song = smooth(0.1, 2)
            for packet in OpusWriter(2).push(0, song):
                await socket.send(Audio(0, packet.position, packet.data, packet.count))
            assert (await socket.until(Stems)).position == 0

    run(talk())
