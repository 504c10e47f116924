"""JavaScript: the modules against the shared vectors, the example and the page against a real server."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from streamsep.engine.separator import load
from streamsep.protocol import decode_samples, encode_samples
from tests.serve.running import Running
from tests.sounds import tune

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "clients" / "node" / "separate.mjs"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


@needs_node
@pytest.mark.parametrize("name", ["vectors", "session"])
def test_the_modules(name: str) -> None:
    done = subprocess.run(
        [str(NODE), "--test", str(ROOT / "tests" / "clients" / f"{name}.test.mjs")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@needs_node
def test_the_example_gets_the_stem_of_the_offline_separation(server: Running, model: Path) -> None:
    song = decode_samples(encode_samples(tune(1.0, 48_000), "s16le"), "s16le", 2)
    done = subprocess.run(
        [
            str(NODE),
            "--experimental-websocket",
            "--no-warnings",
            str(EXAMPLE),
            "drums",
            server.url,
        ],
        input=encode_samples(song, "s16le"),
        capture_output=True,
        timeout=60,
        check=False,
    )
    if b"bad option" in done.stderr:
        pytest.skip("this node knows no WebSocket")
    assert done.returncode == 0, done.stderr
    drums = decode_samples(done.stdout, "s16le", 2)
    expected = load(model).separate(song, 48_000)["drums"]
    np.testing.assert_allclose(drums, expected, atol=0.6 / 32_768)


@needs_node
def test_the_example_ends_with_its_connection_whatever_its_input_still_has(forgetful: Running) -> None:
    command = [str(NODE), "--experimental-websocket", "--no-warnings", str(EXAMPLE), "drums", forgetful.url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(encode_samples(tune(1.0, 48_000), "s16le"))
            process.stdin.flush()
        if not process.stdout.read(1):
            pytest.skip("this node knows no WebSocket")
        forgetful.inside(lambda s: [connection.transport.abort() for connection in s._server.connections])
        assert b"the connection was lost" in process.stderr.readline()
        assert process.wait(10) == 2
    finally:
        process.kill()
        process.communicate()


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 60


def test_the_server_gives_the_page_and_all_it_asks_for(server: Running) -> None:
    status, page = server.get("")
    assert status == 200 and "<title>streamsep</title>" in page
    todo, seen = set(re.findall(r'(?:href|src)="([\w.]+)"', page)), set()
    while todo - seen:
        name = (todo - seen).pop()
        seen.add(name)
        status, text = server.get(name)
        assert status == 200, name
        todo |= set(re.findall(r'"(?:\./)?([\w]+\.mjs)"', text))
    assert seen == {path.name for path in (ROOT / "clients" / "browser").iterdir()} - {"index.html"}
    assert not re.search(r"https?://", page)  # nothing comes from elsewhere
