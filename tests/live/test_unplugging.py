"""A device that goes and comes back, on real sound servers: the sound pauses with a line, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import sound_server
from tests.live.sound_server import JACK, PULSE, Pulse, wait_for
from tests.live.stage import Show, live

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]
OPTIONS = ("--preset", "all", "--margin", "500", "--no-spare")


def needs(programs: tuple[str, ...]) -> None:
    reason = sound_server.missing(programs)
    if reason is not None:
        pytest.skip(f"needs a sound server: {reason}")


def back(show: Show) -> None:
    """The sound goes on, and all that was said is what a user needs."""
    wait_for(lambda: show.status[-1]["state"] == "live", 60, f"not live again: {show.said}")
    assert len([line for line in show.said if "paused:" in line]) == 1
    assert show.process.poll() is None
    assert all(line.startswith("streamsep: ") for line in show.said), show.said


def test_devices_are_unplugged(model: Path, tmp_path: Path) -> None:
    needs(PULSE)
    with sound_server.pulse() as server, live(server, tmp_path, "--model", str(model), *OPTIONS) as show:
        wait_for(lambda: len(show.status) > 3, 60, "no status")
        for sink in ("linein", "speakers"):  # one alone would only make the server choose the other
            server.run("pactl", "unload-module", sink_module(server, sink))
        assert "is gone; the sound goes on when it is back" in show.wait_said("paused:")
        wait_for(lambda: show.status[-1]["state"] == "paused", 60, "the status does not tell")
        for sink in ("linein", "speakers"):
            server.run("pactl", "load-module", "module-null-sink", f"sink_name={sink}", "rate=48000")
        show.wait_said("resumed:")
        back(show)


def test_the_sound_server_dies_and_starts_again(model: Path, tmp_path: Path) -> None:
    needs(JACK)
    with sound_server.jack() as server, live(server, tmp_path, "--model", str(model), *OPTIONS) as show:
        wait_for(lambda: len(show.status) > 3, 60, "no status")
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        show.wait_said("paused:")
        server.start()
        show.wait_said("the sound server is back", 120)
        wait_for(lambda: len([line for line in show.said if "live, system" in line]) == 2, 240, "not started anew")
        back(show)


def sink_module(server: Pulse, sink: str) -> str:
    """Number of the module that made ``sink``."""
    lines = [line.split("\t") for line in server.run("pactl", "list", "short", "modules").stdout.splitlines()]
    return next(line[0] for line in lines if len(line) > 2 and f"sink_name={sink}" in line[2])
