"""A server under fuzz: broken messages by the ten thousand, and attacks, beside a song that must not notice.

Knows a server's address and process; what the broken messages are is ``fuzzing``'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from dataclasses import dataclass, field, replace

import numpy as np
import psutil
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from streamsep.engine.separator import Separator
from streamsep.protocol import FORMATS, Bye, Error, Hello, Message, ProtocolError, decode, encode
from tests.engine.helpers import stack
from tests.serve.running import Raw, metric, raw, separate
from tests.soak import fuzzing
from tests.soak.attacks import ATTACKS, Attack
from tests.sounds import tune

TOKEN = "open sesame"
HELLO = Hello(1, 48_000, 2, token=TOKEN, live=False)
OFFENDERS = 4
BATCH = 14  # messages of an offender in one connection: few are left unread behind the tenth mistake
PATIENCE = 30.0  # seconds within which an offender must have been told or closed


@dataclass(frozen=True)
class Target:
    """The server's ``page``, its process where it has one of its own, and the seconds it waits for who comes back."""

    page: str
    patience: float
    pid: int | None = None

    @property
    def url(self) -> str:
        return self.page.replace("http", "ws", 1) + "v1"


@dataclass
class Report:
    """``messages`` were sent, ``read`` by the server (the bystander's, too); ``told``: errors that it sent;
    ``memory_mb``: of server and engine, after a tenth and at the end.
    """

    seconds: float = 0.0
    messages: int = 0
    read: int = 0
    connections: int = 0
    closed: int = 0  # connections that the server ended
    told: int = 0
    attacks: dict[str, int] = field(default_factory=dict)
    songs: int = 0  # of the bystander, all exact
    memory_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)  # open, in the same moments
    faults: list[str] = field(default_factory=list)


async def fuzz(target: Target, separator: Separator, count: int, seed: int) -> Report:
    """``count`` messages from several offenders at once, all attacks again and again, one bystander."""
    run = _Fuzz(target, separator, count, seed)
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        helpers = [group.create_task(run.bystander()), group.create_task(run.attack())]
        offenders = [asyncio.create_task(run.offend(number)) for number in range(OFFENDERS)]
        await asyncio.gather(*offenders)
        run.over.set()
        await asyncio.gather(*helpers)
    await run.settle()
    run.report.seconds = round(time.monotonic() - started, 1)
    return run.report


class _Fuzz:
    def __init__(self, target: Target, separator: Separator, count: int, seed: int) -> None:
        self.report, self.over = Report(), asyncio.Event()
        self._target, self._separator, self._count, self._seed = target, separator, count, seed
        self._pool = fuzzing.valid() + fuzzing.odd(max(50, count // 40), seed)
        self._measured = False
        self._told = 0

    async def bystander(self) -> None:
        """Songs one after the other; each must be what a session alone gets."""
        while not self.over.is_set() or not self.report.songs:
            song = tune(1.5, 48_000, seed=self._seed + self.report.songs)
            got = await separate(self._target.url, song, token=TOKEN)
            expected = await asyncio.to_thread(self._separator.separate, song, 48_000)
            if not np.array_equal(stack(got), stack(expected)):
                self._fault(f"the bystander's song {self.report.songs} has other samples")
            self.report.songs += 1

    async def attack(self) -> None:
        """Every attack once, then again until the fuzzing is over."""
        while True:
            for name, attack in ATTACKS.items():
                await self._attack(name, attack)
                if self.over.is_set() and len(self.report.attacks) == len(ATTACKS):
                    return

    async def offend(self, number: int) -> None:
        rng = random.Random(f"{self._seed} {number}")
        stream = fuzzing.messages(self._pool, rng)
        while self.report.messages < self._count:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._connection([next(stream) for _ in range(BATCH)], rng)
            except TimeoutError:
                self._fault("an offender was neither told nor closed")
            except (InvalidHandshake, OSError, EOFError):
                await asyncio.sleep(0.1)  # too many connections: told so
            if not self._measured and self.report.messages > self._count / 10:
                self._measured = True
                self._measure()
            if number == 0:
                self._tell()

    async def settle(self) -> None:
        """All gone: nothing may be left of them."""
        deadline = time.monotonic() + self._target.patience + 20
        names = ("streamsep_sessions", "streamsep_connections", "streamsep_queue_seconds", "streamsep_outbox_seconds")
        while left := {name: count for name in names if (count := metric(self._target.page, name))}:
            if time.monotonic() > deadline:
                return self._fault(f"something is left: {left}")
            await asyncio.sleep(0.2)
        if metric(self._target.page, "streamsep_engine_restarts_total"):
            self._fault("the engine died")
        self.report.read = round(metric(self._target.page, 'streamsep_messages_total{direction="in"}'))
        self._measure()
        memory, files = self.report.memory_mb, self.report.files
        if len(memory) == 2 and memory[1] > 1.1 * memory[0] + 20:
            self._fault(f"memory grew from {memory[0]} to {memory[1]} MB")
        if len(files) == 2 and files[1] > files[0] + 8:
            self._fault(f"open files grew from {files[0]} to {files[1]}")

    async def _connection(self, messages: list[bytes], rng: random.Random) -> None:
        """One offender: its batch, then a goodbye. What the decoder refuses must be answered each time."""
        self.report.connections += 1
        greeted = rng.random() < 0.9
        messages = _until_bye(messages) if greeted else []
        wrong = sum(_meaning(data) is None for data in messages)
        async with raw(self._target.url) as socket:
            with contextlib.suppress(ConnectionClosed):
                hello = replace(HELLO, format=rng.choice(FORMATS), live=rng.random() < 0.5)
                await socket.send(hello if greeted else rng.choice(self._pool))
                sender = asyncio.create_task(self._send(socket, messages))
                code, heard = await socket.closed()
                await sender
        errors = [message for message in heard if isinstance(message, Error)]
        self.report.told += len(errors)
        self.report.closed += 1
        fatal = bool(errors) and errors[-1].fatal
        if greeted and not fatal and len(errors) < wrong:
            self._fault(f"{wrong} messages were wrong, {len(errors)} errors told, closed with {code}")
        if code not in (1000, 1001, 1008, 1009, 1013, 4000):
            self._fault(f"closed with {code}")

    async def _send(self, socket: Raw, messages: list[bytes]) -> None:
        with contextlib.suppress(ConnectionClosed):
            for data in messages:
                await socket.send(data)
                self.report.messages += 1
            await socket.send(encode(Bye()))

    async def _attack(self, name: str, attack: Attack) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                said = await attack(self._target.url, HELLO)
        except TimeoutError:
            said = "it was neither told nor closed"
        except (ConnectionClosed, InvalidHandshake, OSError) as error:
            said = f"{type(error).__name__}: {error}"
        if said:
            self._fault(f"{name}: {said}")
        self.report.attacks[name] = self.report.attacks.get(name, 0) + 1

    def _measure(self) -> None:
        if self._target.pid is not None:
            server = psutil.Process(self._target.pid)
            family = [server, *server.children(recursive=True)]
            self.report.memory_mb.append(round(sum(each.memory_info().rss for each in family) / 1e6, 1))
            self.report.files.append(server.num_fds())

    def _tell(self) -> None:
        """A line for every twentieth of the messages: a soak of an hour must not be silent."""
        part = 20 * self.report.messages // self._count
        if part > self._told:
            self._told = part
            report = self.report
            print(
                f"{report.messages} messages, {report.connections} connections, {report.songs} songs, "
                f"{sum(report.attacks.values())} attacks, {len(report.faults)} faults",
                file=sys.stderr,
                flush=True,
            )

    def _fault(self, text: str) -> None:
        self.report.faults.append(text)
        print(f"fault: {text}", file=sys.stderr, flush=True)


def _meaning(data: bytes) -> Message | None:
    """None when the decoder refuses it."""
    try:
        return decode(data)
    except ProtocolError:
        return None


def _until_bye(messages: list[bytes]) -> list[bytes]:
    """Nobody reads what comes after a goodbye."""
    ends = (n + 1 for n, data in enumerate(messages) if isinstance(_meaning(data), Bye))
    return messages[: next(ends, len(messages))]
