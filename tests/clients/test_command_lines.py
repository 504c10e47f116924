"""``python -m clients.python`` and ``python -m clients.load`` as users call them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.cli import main
from streamsep.config import STEMS
from streamsep.serve.options import ServeOptions
from tests.conftest import Song
from tests.live.sound_server import wait_for
from tests.serve.running import Running, running


def call(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"clients.{module}", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_file_gets_the_stems_of_the_offline_command(
    server: Running, model: Path, make_song: Song, tmp_path: Path
) -> None:
    song = make_song("my song.wav", seconds=2.0, subtype="PCM_24")
    done = call("python", song, "-o", tmp_path / "online", "--url", server.url)
    assert done.returncode == 0, done.stderr
    with pytest.raises(SystemExit) as left:
        main(["separate", str(song), "-o", str(tmp_path / "offline"), "--bits", "f32", "--model", str(model)])
    assert left.value.code == 0
    for stem in STEMS:
        (online, rate), (offline, _) = (
            soundfile.read(tmp_path / where / "my song" / f"{stem}.wav", dtype="float32")
            for where in ("online", "offline")
        )
        assert rate == 44_100 and np.array_equal(online, offline)
    again = call("python", song, "-o", tmp_path / "online", "--url", server.url)
    assert again.returncode == 2 and "exists already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{song}", "--url", "ws://127.0.0.1:9/v1"], "no server at ws://127.0.0.1:9/v1"),
        (["{song}", "--url", "nonsense"], "no server at nonsense"),
        (["{song}", "--url", "{url}", "--stems", "guitar"], "'hello.stems' must be"),
        (["{song}", "--url", "{url}", "--lookahead", "7"], "'hello.lookahead' must be"),
        (["/nowhere.wav", "--url", "{url}"], "'/nowhere.wav' cannot be read"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    server: Running, make_song: Song, tmp_path: Path, arguments: list[str], said: str
) -> None:
    song = make_song(seconds=0.2)
    filled = [argument.format(song=song, url=server.url) for argument in arguments]
    done = call("python", *filled, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_stems_that_cannot_be_written_are_said_in_a_line(server: Running, make_song: Song, tmp_path: Path) -> None:
    song = make_song(seconds=0.2)
    (tmp_path / "file").touch()
    done = call("python", song, "--url", server.url, "-o", tmp_path / "file" / "out")
    assert done.returncode == 2
    assert "out' cannot be written" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--song", "/nowhere.wav"], "'/nowhere.wav' cannot be read"),
        (["--song", "{empty}"], "empty.wav' holds no sound"),
        (["--seconds", "nan"], "--seconds nan is no length"),
        (["--sessions", "0"], "--sessions 0 is nobody"),
    ],
)
def test_a_load_that_cannot_be_is_said_in_a_line(make_song: Song, arguments: list[str], said: str) -> None:
    empty = make_song("empty.wav", seconds=0.0)
    done = call("load", *(argument.format(empty=empty) for argument in arguments))
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_half_written_goes_with_the_program(
    model: Path, make_song: Song, tmp_path: Path, number: signal.Signals
) -> None:
    song = make_song("long.wav", seconds=60.0)
    with running(ServeOptions(port=0, model=str(model), max_sessions=1)) as server:
        command = [sys.executable, "-m", "clients.python", str(song), "-o", str(tmp_path / "out"), "--url", server.url]
        client = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(lambda: len(list(tmp_path.glob("out/long/*.part"))) == 4, 60, "nothing is written")
        client.send_signal(number)
        assert client.wait(30) == 128 + number
    assert list(tmp_path.glob("out/long/*")) == []


def test_load_measures_and_lists_who_was_refused(server: Running) -> None:
    done = call("load", "--url", server.url, "--sessions", 4, "--seconds", 1.5, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    played = [session for session in report["sessions"] if session["refused"] is None]
    assert len(played) == 3
    assert "places are taken" in next(s["refused"] for s in report["sessions"] if s["refused"])
    for session in played:
        assert session["own"] == 60.0 and session["blocks"] >= 37 and session["dropped"] == 0
        assert 40 < session["p50"] <= session["p95"] <= session["p99"] <= session["most"]
    assert report["overall"]["blocks"] == sum(session["blocks"] for session in played)


@pytest.mark.parametrize("module", ["python", "load"])
def test_help_ends_with_examples(module: str) -> None:
    done = call(module, "--help")
    assert done.returncode == 0 and f"python -m clients.{module}" in done.stdout.split("Examples:")[1]
