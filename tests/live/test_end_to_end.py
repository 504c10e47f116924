"""``streamsep live`` on real sound servers: a song into the line-in, the loudspeaker recorded. No machine is too busy.

The model is small and has all the time it wants (``--margin``); what is heard must then be right to the bit depth.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import streamsep
from streamsep.config import STEMS
from streamsep.data.compose import Song, compose_song
from tests.live import sound_server
from tests.live.sound_server import JACK, PULSE, Server
from tests.live.stage import Sound, aligned, gain_of, level, live, residuals, windows

SECONDS = 8.0
LOUD = -45.0  # dB: a second below it says nothing about a bridge of 16 bits

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]


def _server(kind: str) -> AbstractContextManager[Server]:
    reason = sound_server.missing(PULSE if kind == "pulse" else JACK)
    if reason is not None:
        pytest.skip(f"needs a sound server: {reason}")
    return sound_server.pulse() if kind == "pulse" else sound_server.jack(patient=True)


@pytest.fixture(params=["pulse", "jack"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with _server(request.param) as server:
        yield server


@pytest.fixture(scope="session")
def song() -> Song:
    """One in which every stem is heard."""
    return next(
        song
        for song in (compose_song(seed, SECONDS) for seed in range(9))
        if np.abs(song.stems).max((1, 2)).min() > 0.05
    )


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_loudspeaker_gives_the_song_and_then_the_song_without_its_singer(
    server: Server, song: Song, model: Path, tmp_path: Path, port: int
) -> None:
    from pythonosc.udp_client import SimpleUDPClient

    quick = ("--model", str(model), "--decode", "guide", "--margin", "1000", "--no-spare")
    options = ("--preset", "all", "--osc", str(port), *quick)
    with live(server, tmp_path, *options) as show:
        whole = aligned(server.perform(song.mixture, tmp_path), song.mixture)
        assert good(residuals(whole, song.mixture), song.mixture), show.said
        SimpleUDPClient("127.0.0.1", port).send_message("/streamsep/preset", "karaoke")
        heard = server.perform(song.mixture, tmp_path)
        assert show.status[-1]["gains"]["vocals"] is None
    offline = streamsep.load(str(model), decode="guide").separate(song.mixture, 48_000)
    without = {stem: song.mixture - offline[stem] for stem in STEMS}
    # The frames lie elsewhere on the song, so it is the same only in what it does to each stem.
    karaoke = aligned(heard, without["vocals"])
    for stem, true in zip(STEMS, song.stems, strict=True):
        parts = zip(windows(true), windows(karaoke), windows(without["vocals"]), strict=True)
        errors = [abs(gain_of(a, b) - gain_of(a, c)) for a, b, c in parts if level(a) > LOUD]
        assert np.median(errors) < 0.5, (stem, errors, show.said)
    off = {stem: np.median(residuals(karaoke, sound)) for stem, sound in without.items()}
    assert min(off, key=off.__getitem__) == "vocals", off


def good(found: list[float], wanted: Sound) -> bool:
    """At most -60 dB in most seconds: a server that loses a block on a busy machine moves all that follows."""
    loud = [residual for residual, part in zip(found, windows(wanted), strict=True) if level(part) > LOUD]
    return float(np.median(loud)) <= -60
