"""``LiveSeparator`` without its devices: the watchman outlives what goes wrong under his eyes, and whom he tells it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from streamsep.live.core import Core, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.separator import LiveSeparator
from tests.live.sound_server import wait_for


def test_a_look_that_fails_is_told_once_and_not_the_last() -> None:
    said: list[str] = []
    live = LiveSeparator(tell=said.append)
    looks = 0

    def check() -> str | None:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise RuntimeError("the driver is\nconfused")
        return "resumed"

    with Core(ModelOptions(), Gains()) as core:
        live.core = core
        streams: Any = SimpleNamespace(check=check, back=None)
        live.streams = streams
        watchman = threading.Thread(target=live._watch)
        watchman.start()
        wait_for(lambda: "resumed" in said or not watchman.is_alive(), 10, "nobody looks")
        live.stop()
        watchman.join()
    assert said[:2] == ["internal error, RuntimeError: the driver is confused; the sound goes on.", "resumed"]


def test_a_listener_that_fails_ends_nothing() -> None:
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        raise BrokenPipeError("nobody reads")

    live = LiveSeparator(tell=tell)
    with Core(ModelOptions(), Gains()) as core:
        live.core = core
        streams: Any = SimpleNamespace(check=lambda: "resumed", back=None)
        live.streams = streams
        watchman = threading.Thread(target=live._watch)
        watchman.start()
        wait_for(lambda: len(said) > 2 or not watchman.is_alive(), 10, "nobody looks")
        live.stop()
        watchman.join()
    assert len(said) > 2
