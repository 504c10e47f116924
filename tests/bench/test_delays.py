"""The delay on real sound servers and in a real browser, as the bench measures it. No machine is too busy for these."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients import chrome
from tests.live import sound_server
from tests.live.sound_server import JACK, PULSE

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MISSING = {"pulse": sound_server.missing(PULSE), "jack": sound_server.missing(JACK), "page": chrome.missing()}


@pytest.mark.parametrize("way", MISSING)
def test_what_comes_back_is_later_than_the_model_itself(way: str, model: Path) -> None:
    if MISSING[way]:
        pytest.skip(MISSING[way])
    command = [sys.executable, "-m", "tests.bench.delays", "--only", way, "--seconds", "12", "--json"]
    done = subprocess.run([*command, "--model", str(model)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    one = found["ways"][way]
    assert found["own_ms"] == 60
    assert "missing" not in one, one
    assert one["range_ms"][0] >= 60 and one["delay_ms"] < 900
