"""Engines and servers that die, servers that are told to stop, and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clients.python import connect
from streamsep.config import STEMS
from streamsep.protocol import Audio, Error, Flush, Stems, encode_samples
from streamsep.serve.core import Core
from streamsep.serve.options import ServeOptions
from streamsep.serve.server import run as run_server
from tests.cli.conftest import Run, run  # noqa: F401
from tests.engine.helpers import stack
from tests.serve.running import HELLO, Running, collect, free_port, greet, metric, raw, separate, serving
from tests.serve.running import run as run_async
from tests.sounds import tune


def test_an_engine_that_dies_is_replaced_and_no_sample_is_lost(server: Running) -> None:
    song = tune(4.0, 48_000)
    told: list[str] = []

    async def play() -> dict[str, np.ndarray]:
        async with await connect(server.url, 48_000, 2, live=False, notice=told.append) as session:

            async def send() -> None:
                for start in range(0, song.shape[1], 9_600):
                    await session.send(song[:, start : start + 9_600])
                    if start == 96_000:
                        os.kill(server.inside(lambda s: s.engine.pid), signal.SIGKILL)
                await session.finish()

            async with asyncio.TaskGroup() as group:
                group.create_task(send())
                result = group.create_task(collect(session))
            assert session.reconnects == session.lost == 0
            return result.result()

    stems = stack(run_async(play()))
    assert stems.shape == (4, *song.shape)
    np.testing.assert_allclose(stems.sum(0), song, atol=1e-4)
    assert any("started again" in text and "no samples are lost" in text for text in told)
    assert server.inside(lambda s: s.engine.restarts) == server.count("streamsep_engine_restarts_total") == 1


def test_a_server_that_is_killed_and_comes_back(model: Path) -> None:
    """The client reconnects by itself, begins a new session where the old one stopped, and says so."""
    port, song = free_port(), tune(6.0, 48_000)
    told: list[str] = []

    async def play() -> dict[str, np.ndarray]:
        url = f"ws://127.0.0.1:{port}/v1"
        with contextlib.ExitStack() as servers:
            first = servers.enter_context(serving(model, port, "--max-sessions", "2"))
            session = await connect(url, 48_000, 2, live=False, stems=("vocals", "mix"), notice=told.append)
            async with session:
                await session.set(gains=dict.fromkeys(STEMS, 0.0))

                async def send() -> None:
                    for start in range(0, song.shape[1], 9_600):
                        await session.send(song[:, start : start + 9_600])
                        if start == 96_000:
                            while session.position < 48_000:
                                await asyncio.sleep(0.01)
                            first.kill()
                            first.wait()
                            await asyncio.to_thread(servers.enter_context, serving(model, port, "--max-sessions", "2"))
                    await session.finish()

                async with asyncio.TaskGroup() as group:
                    group.create_task(send())
                    result = group.create_task(collect(session))
                assert (session.reconnects, session.restarts, session.lost) == (1, 1, 0)
                return result.result()

    stems = run_async(play())
    assert stems["vocals"].shape == song.shape
    loud = np.abs(stems["mix"]) > 1e-3  # faders are down, but for a moment after the new session has begun
    assert loud[:, :2_400].any() and loud.any(0)[4_800:].sum() < 4_800
    assert any("was lost" in text for text in told)
    assert any("begins anew at sample" in text for text in told)


def test_a_server_that_is_killed_under_load(model: Path) -> None:
    """Four live clients in a process of their own: all come back by themselves and say what was lost."""
    port = free_port()
    options = ("--max-sessions", "4", "--threads", "1")
    load = [sys.executable, "-m", "clients.load", "--url", f"ws://127.0.0.1:{port}/v1", "--sessions", "4"]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving(model, port, *options))
        client = subprocess.Popen(
            [*load, "--seconds", "25", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        stack.callback(client.kill)
        while metric(f"http://127.0.0.1:{port}/", "streamsep_sessions") < 4:
            assert client.poll() is None
            time.sleep(0.1)
        time.sleep(2)
        first.kill()
        first.wait()
        stack.enter_context(serving(model, port, *options))
        out, told = client.communicate(timeout=120)
    assert client.returncode == 0, told
    for session in json.loads(out)["sessions"]:
        mine = [line for line in told.splitlines() if line.startswith(f"session {session['session']}:")]
        assert "the connection was lost; trying again." in mine[0]
        lost = re.search(r"begins anew at sample \d+; (\d+) samples", mine[-2])
        assert lost and mine[-1].endswith("connected again.")
        assert session["reconnects"] == 1 and session["failed"] is None
        assert session["dropped"] == int(lost[1]) > 0


def test_told_to_stop_it_answers_what_was_heard(tmp_path: Path) -> None:
    """The command as users start it, with the shipped model: real stems, JSON log, a drained end."""
    port, song = free_port(), tune(1.5, 44_100)

    async def play(process: subprocess.Popen[str]) -> tuple[bytes, Error, int]:
        vocals = b""
        async with raw(f"ws://127.0.0.1:{port}/v1") as socket:
            hello = HELLO.__class__(1, 44_100, 2, stems=("vocals",), live=False)
            ready = await greet(socket, hello)
            assert ready.model == "tiny"
            await socket.send(Audio(0, 0, encode_samples(song, "f32le")))
            await socket.send(Flush())
            await socket.until(Stems)
            process.send_signal(signal.SIGTERM)
            code, heard = await socket.closed()
        for message in heard:
            vocals += message.data["vocals"] if isinstance(message, Stems) else b""
        assert Flush(song.shape[1]) in heard
        assert isinstance(heard[-1], Error)
        return vocals, heard[-1], code

    with serving("tiny", port, "--max-sessions", "1", "--log-json") as process:
        vocals, error, code = run_async(play(process))
        out, log = process.communicate(timeout=30)
    assert (error.code, code, process.returncode) == ("shutdown", 1_001, 0)
    assert f"http://127.0.0.1:{port}/" in out
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events[0] == "started" and "hello" in events and events[-1] == "stopped"
    from streamsep.engine.separator import load

    expected = encode_samples(load("tiny").separate(song, 44_100)["vocals"], "f32le")
    assert expected.endswith(vocals) and len(vocals) > len(expected) // 2


def test_told_to_stop_together_with_its_engine_it_still_drains(server: Running) -> None:
    """A service manager tells every process of the group: the engine leaves it to the server."""
    song, pid = tune(1.0, 48_000), server.inside(lambda s: s.engine.pid)
    restarts = server.inside(lambda s: s.engine.restarts)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)
    assert stack(run_async(separate(server.url, song))).shape == (4, *song.shape)
    assert server.inside(lambda s: (s.engine.pid, s.engine.restarts)) == (pid, restarts)


def test_the_engine_ends_with_its_server_however_that_ends(model: Path) -> None:
    with serving(model, free_port(), "--max-sessions", "1", "--log-json") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            pytest.skip("this system does not list a process's children")
        engines = [Path("/proc") / pid for pid in children.read_text().split()]
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while any(engine.exists() for engine in engines):
            assert engines and time.monotonic() < deadline
            time.sleep(0.1)


def test_told_to_stop_while_the_model_loads_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load(_: Core) -> None:
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(Core, "start", load)
    run_async(run_server(ServeOptions(port=0), lambda _: pytest.fail("it is not ready")), 5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "there is no port 70000"),
        (["--max-sessions", "0"], "--max-sessions 0 is below 1"),
        (["--certfile", "x.pem"], "needs both --certfile and --keyfile"),
        (["--certfile", "x.pem", "--keyfile", "y.pem"], "are no certificate and key"),
        (["--token-file", "/nowhere/token"], "the token file '/nowhere/token' cannot be read"),
        (["--resume-time", "-1"], "--resume-time -1.0 is no number of seconds"),
        (["--idle-timeout", "0"], "--idle-timeout 0 leaves nobody time"),
        (["--origin", "*", "--origin", "https://radio.example/"], "--origin https://radio.example/ is none"),
        (["--origin", "radio.example"], "--origin radio.example is none"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--host", "256.1.1.1"], "cannot listen on 256.1.1.1"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(run: Run, arguments: list[str], said: str) -> None:  # noqa: F811
    result = run("serve", *arguments)
    assert result.code == 2
    assert said in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize(("token", "said"), [("", "STREAMSEP_TOKEN is empty"), ("x" * 513, "more than 512 characters")])
def test_a_token_that_cannot_be_meant(
    run: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    said: str,
) -> None:
    monkeypatch.setenv("STREAMSEP_TOKEN", token)
    result = run("serve", "--port", "0", "--model", "/nowhere")
    assert result.code == 2
    assert said in result.err and result.err.count("\n") == 1


def test_a_model_that_is_none(run: Run, tmp_path: Path) -> None:  # noqa: F811
    result = run("serve", "--port", "0", "--model", tmp_path)
    assert result.code == 2
    assert "is no model" in result.err and result.err.count("\n") == 1


def test_tls(model: Path, tmp_path: Path) -> None:
    """A certificate made here: the client that knows it gets stems, one that does not is refused by TLS."""
    import ssl

    from websockets.asyncio.client import connect as open_socket

    from streamsep.protocol import Ready, decode, encode
    from tests.serve.running import running

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    made = subprocess.run([*new, "-keyout", str(key), "-out", str(cert)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")

    async def talk(url: str, context: ssl.SSLContext) -> None:
        async with open_socket(url, ssl=context) as socket:
            await socket.send(encode(HELLO))
            data = await socket.recv()
            assert isinstance(data, bytes) and isinstance(decode(data), Ready)

    with running(ServeOptions(port=0, model=str(model), max_sessions=1, certfile=cert, keyfile=key)) as server:
        assert server.url.startswith("wss://") and server.page.startswith("https://")
        run_async(talk(server.url, ssl.create_default_context(cafile=cert)))
        with pytest.raises(ssl.SSLCertVerificationError):
            run_async(talk(server.url, ssl.create_default_context()))


def test_the_limit_follows_from_the_frame_time() -> None:
    from streamsep.serve.worker import capacity

    assert capacity([0.011, 0.012, 0.014, 0.018, 0.026]) == 10  # 0.018 + 1 ms each: the eleventh is past 20 ms
    assert capacity([0.05]) == 1
    assert capacity([0.015, 0.02, 0.07]) == 2


def test_up_to_four_fifths_of_the_places_nobody_waits_for_others() -> None:
    from streamsep.serve.worker import few

    assert few(0.01, 10) == pytest.approx(8)
    assert few(0.01, 2) == pytest.approx(4)  # all of them fit one by one
