"""Sessions of different songs that join, leave, vanish, break and resume; every sample they get is compared.

Knows a server's address and a separator that computes what a session alone must get.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field

import numpy as np

from clients.python import Block, ClientError, ServerError, connect
from streamsep.config import STEMS
from streamsep.engine.separator import Separator
from streamsep.protocol import Audio, Error, Hello, Ready, Stems, decode_samples, encode_samples
from tests.serve.running import Raw, raw
from tests.sounds import tune

Sound = np.ndarray
RATES = (48_000, 48_000, 44_100)


@dataclass
class Report:
    """``samples`` of single stems and channels were compared; ``wrong`` blocks of them were not what they must be.
    ``faults`` says where, of blocks only the first of a session.
    """

    seconds: float = 0.0
    sessions: int = 0
    whole: int = 0  # songs heard to their end
    left: int = 0
    vanished: int = 0
    broken: int = 0  # connections cut in mid-song
    resumed: int = 0
    refused: int = 0
    samples: int = 0
    wrong: int = 0
    faults: list[str] = field(default_factory=list)


class Judge:
    """Compares blocks with the offline separation: equal hashes, or ``tolerance`` apart at most."""

    def __init__(self, separator: Separator, tolerance: float) -> None:
        self._separator, self._tolerance = separator, tolerance
        self._alone = asyncio.Lock()

    async def expect(self, song: Sound, rate: int, lookahead: int) -> Sound:
        """[S, channels, samples]."""
        async with self._alone:
            stems = await asyncio.to_thread(self._separator.separate, song, rate, lookahead)
        return np.stack([stems[stem] for stem in STEMS])

    def same(self, got: Sound, expected: Sound) -> bool:
        if self._tolerance:
            return got.shape == expected.shape and bool(np.abs(got - expected).max(initial=0) <= self._tolerance)
        return _hash(got) == _hash(expected)


async def isolation(url: str, judge: Judge, sessions: int, seconds: float, seed: int) -> Report:
    """``sessions`` at once, one after the other in each place, until the time is over."""
    report, started = Report(), time.monotonic()
    players = [Player(url, judge, report, seed * 1_000 + place) for place in range(sessions)]
    async with asyncio.TaskGroup() as group:
        for player in players:
            group.create_task(player.until(started + seconds))
    report.seconds = round(time.monotonic() - started, 1)
    return report


class Player:
    """One place: song after song, each another, each with its own fate."""

    def __init__(self, url: str, judge: Judge, report: Report, seed: int) -> None:
        self._url, self._judge, self._report, self._seed = url, judge, report, seed
        self._rng = np.random.default_rng(seed)
        self._songs = 0
        self._wrong = 0  # the last song that was not what it must be

    async def until(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            await asyncio.sleep(float(self._rng.uniform(0, 0.3)))
            rate, lookahead = int(self._rng.choice(RATES)), int(self._rng.integers(-1, 3))
            self._songs += 1
            song = tune(float(self._rng.uniform(1, 5)), rate, seed=10_000 * self._seed + self._songs)
            expected = await self._judge.expect(song, rate, lookahead)
            fate = self._rng.random()
            try:
                if fate < 0.15:
                    await self._vanish(song, expected, rate, lookahead)
                else:
                    await self._session(song, expected, rate, lookahead, leaves=fate < 0.35)
            except* ServerError as errors:
                if any(getattr(error, "code", None) != "full" for error in errors.exceptions):
                    self._fault(f"refused: {errors.exceptions[0]}")
                self._report.refused += 1
            except* ClientError as errors:
                self._fault(f"failed: {errors.exceptions[0]}")

    async def _session(self, song: Sound, expected: Sound, rate: int, lookahead: int, leaves: bool) -> None:
        """A session that is cut and resumed now and then, and perhaps left in mid-song."""
        session = await connect(self._url, rate, 2, live=False, lookahead=lookahead, name=f"soak {self._seed}")
        self._report.sessions += 1
        leave = int(self._rng.integers(song.shape[1])) if leaves else song.shape[1]

        async def send() -> None:
            at = 0
            while at < leave:
                step = int(self._rng.integers(500, 12_000))
                await session.send(song[:, at : min(at + step, leave)])
                at += step
                if self._rng.random() < 0.06:
                    self._report.broken += 1
                    await session.drop()
                await asyncio.sleep(float(self._rng.uniform(0, 0.03)))
            if not leaves:
                await session.finish()

        async def listen() -> int:
            end = 0
            async for block in session:
                if block.missing or block.position != end:
                    self._fault(f"samples are missing before {block.position}")
                end = block.position + block.count
                self._check(block, expected)
            return end

        async with session, asyncio.TaskGroup() as group:
            listener = group.create_task(listen())
            await send()
            if leaves:
                await session.close()
        self._report.resumed += session.reconnects
        if leaves:
            self._report.left += 1
        else:
            self._report.whole += 1
            if listener.result() != song.shape[1] or session.restarts:
                self._fault(f"heard {listener.result()} of {song.shape[1]} samples")

    async def _vanish(self, song: Sound, expected: Sound, rate: int, lookahead: int) -> None:
        """A connection that ends without a word, in mid-song; somebody else gets its place."""
        async with raw(self._url) as socket:
            await greet_or_refused(socket, Hello(1, rate, 2, lookahead=lookahead, live=False))
            self._report.sessions += 1
            for seq, start in enumerate(range(0, song.shape[1] // 2, 4_800)):
                await socket.send(Audio(seq, start, encode_samples(song[:, start : start + 4_800], "f32le")))
            heard, most = 0, int(self._rng.integers(1, song.shape[1] // 3))
            while heard < most:
                stems = await socket.until(Stems)
                sound = {name: decode_samples(data, "f32le", 2) for name, data in stems.data.items()}
                self._check(Block(stems.position, stems.count, sound), expected)
                heard = stems.position + stems.count
            socket.socket.transport.abort()
        self._report.vanished += 1

    def _check(self, block: Block, expected: Sound) -> None:
        got = np.stack([block.stems[stem] for stem in STEMS])
        mine = expected[..., block.position : block.position + block.count]
        if not self._judge.same(got, mine):
            self._report.wrong += 1
            if self._wrong != self._songs:
                most = np.abs(got - mine).max() if got.shape == mine.shape else np.inf
                self._fault(f"other sound at {block.position}, {most:.1e} apart")
            self._wrong = self._songs
        self._report.samples += got.size

    def _fault(self, text: str) -> None:
        self._report.faults.append(f"place {self._seed}, song {self._songs}: {text}")


async def greet_or_refused(socket: Raw, hello: Hello) -> None:
    """Raises ServerError for a refusal."""
    await socket.send(hello)
    answer = await socket.receive()
    if isinstance(answer, Error):
        raise ServerError(answer)
    assert isinstance(answer, Ready)


def _hash(sound: Sound) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(sound).tobytes()).digest() + str(sound.shape).encode()
