"""Two replicas on real Ray, on this machine: sessions spread, stems are exact, a full deployment says so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from clients.python import ServerError, Session, connect
from streamsep.engine.separator import Separator
from streamsep.errors import OptionError
from streamsep.serve.cluster import Replicas
from streamsep.serve.options import ServeOptions
from tests.cli.conftest import Run, run  # noqa: F401
from tests.engine.helpers import stack
from tests.serve.running import HELLO, collect, free_port, greet, raw, refusal
from tests.serve.running import run as run_async
from tests.sounds import tune

PLACES = 2  # of each of the two replicas


@dataclass(frozen=True)
class Deployment:
    process: subprocess.Popen[str]
    page: str

    @property
    def url(self) -> str:
        return self.page.replace("http", "ws", 1) + "v1"


@contextlib.contextmanager
def deployed(model: Path, log: Path, replicas: str) -> Iterator[Deployment]:
    """``streamsep serve --ray`` in a process of its own, as users start it."""
    pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
    port = free_port()
    options = ["--ray", "--replicas", replicas, "--max-sessions", str(PLACES), "--port", str(port), "--exact"]
    command = [sys.executable, "-m", "streamsep", "serve", "--model", str(model), *options, "--drain-time", "2"]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, text=True, env=os.environ | {"RAY_ADDRESS": ""})
        try:
            deadline = time.monotonic() + 240
            while "Open http" not in log.read_text():
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3_000:]
                time.sleep(0.2)
            yield Deployment(process, f"http://127.0.0.1:{port}/")
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
    assert process.returncode == 0, log.read_text()[-3_000:]


@pytest.fixture(scope="module")
def deployment(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(model, tmp_path_factory.mktemp("ray") / "log", "2") as deployment:
        yield deployment


def home(session: Session) -> str:
    return session.ready.resume.partition(".")[2]


@pytest.mark.slow
@pytest.mark.alone
def test_sessions_spread_and_their_stems_are_exact(deployment: Deployment, separator: Separator) -> None:
    songs = [tune(2.0, 48_000, seed=seed) for seed in range(2 * PLACES)]

    async def play(session: Session, song: np.ndarray) -> dict[str, np.ndarray]:
        async def send() -> None:
            for start in range(0, song.shape[1], 9_600):
                await session.send(song[:, start : start + 9_600])
                if start == 48_000 and song is songs[0]:
                    await session.drop()
            await session.finish()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            result = group.create_task(collect(session))
        return result.result()

    async def talk() -> None:
        sessions = [await connect(deployment.url, 48_000, 2, live=False) for _ in songs]
        assert sorted(Counter(home(session) for session in sessions).values()) == [PLACES, PLACES]
        with pytest.raises(ServerError, match=f"all {PLACES} places are taken") as full:
            await connect(deployment.url, 48_000, 2)
        assert full.value.retry_after
        results = await asyncio.gather(*map(play, sessions, songs))
        for session, song, stems in zip(sessions, songs, results, strict=True):
            assert np.array_equal(stack(stems), stack(separator.separate(song, 48_000)))
            assert session.restarts == session.lost == 0
        assert sessions[0].reconnects >= 1  # and it found its replica
        for session in sessions:
            await session.close()

    run_async(talk(), 180)


@pytest.mark.slow
@pytest.mark.alone
def test_doors_and_pages_through_rays_proxy(deployment: Deployment) -> None:
    for path, said in (("healthz", "ok"), ("readyz", "ready"), ("metrics", "streamsep_sessions "), ("", "<title>")):
        with urllib.request.urlopen(deployment.page + path, timeout=30) as answer:
            assert said in answer.read().decode()

    async def talk() -> None:
        code, error = await refusal(deployment.url, b"\xff")
        assert (code, error.code) == (4_000, "hello")
        async with raw(deployment.url) as socket:
            await greet(socket, HELLO)
            await socket.send(bytes(1 << 21))
            assert (await socket.closed())[0] == 1_009
        with pytest.raises(Exception, match="403"):
            async with raw(deployment.url, origin="https://elsewhere.example"):
                pass

    run_async(talk(), 120)


@pytest.mark.slow
@pytest.mark.alone
def test_a_second_replica_starts_when_the_first_fills(model: Path, separator: Separator, tmp_path: Path) -> None:
    song = tune(1.0, 48_000, seed=1)

    async def another(url: str) -> Session:
        async with asyncio.timeout(120):
            while True:
                try:
                    return await connect(url, 48_000, 2, live=False)
                except ServerError as full:
                    assert full.retry_after
                    await asyncio.sleep(1)

    async def talk(url: str) -> None:
        sessions = [await connect(url, 48_000, 2, live=False) for _ in range(PLACES)]
        assert len(set(map(home, sessions))) == 1
        sessions.append(await another(url))
        assert home(sessions[-1]) != home(sessions[0])
        await sessions[-1].send(song)
        await sessions[-1].finish()
        assert np.array_equal(stack(await collect(sessions[-1])), stack(separator.separate(song, 48_000)))
        for session in sessions:
            await session.close()

    with deployed(model, tmp_path / "log", "1:2") as deployment:
        run_async(talk(deployment.url), 180)


@pytest.mark.parametrize(
    ("text", "replicas"), [("1", Replicas()), ("3", Replicas(3, 3)), ("2:10", Replicas(2, 10))], ids=str
)
def test_numbers_of_replicas(text: str, replicas: Replicas) -> None:
    assert Replicas.parse(text) == replicas


@pytest.mark.parametrize("text", ["", "0", "3:2", "a", "1:b", "-1", "1:2:3"])
def test_numbers_of_replicas_that_make_no_sense(text: str) -> None:
    with pytest.raises(OptionError, match="--replicas"):
        Replicas.parse(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ray", "--max-sessions", "2"], r"--ray needs Ray Serve; install it with: pip install 'streamsep\[ray\]'"),
        (["--replicas", "2"], "--replicas needs --ray"),
        (["--ray", "--replicas", "0"], "--replicas 0 makes no sense"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(run: Run, monkeypatch, arguments: list[str], said: str) -> None:  # noqa: F811
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    result = run("serve", *arguments)
    assert result.code == 2
    assert re.search(said, result.err) and result.err.count("\n") == 1


def test_ray_must_know_the_places_and_the_port(model: Path) -> None:
    from streamsep.serve.cluster import _check

    with pytest.raises(OptionError, match="needs --max-sessions"):
        _check(ServeOptions(model=str(model)))
    with pytest.raises(OptionError, match="needs a --port"):
        _check(ServeOptions(model=str(model), max_sessions=1, port=0))
    port = free_port()
    checked = _check(ServeOptions(model=str(model), max_sessions=1, port=port))
    assert checked.acks and Path(checked.model) == model.resolve()
