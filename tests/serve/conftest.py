"""A server on the small model that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsep.serve.options import ServeOptions
from tests.serve.running import Running, running


@pytest.fixture(scope="session")
def server(model: Path) -> Iterator[Running]:
    """Eight places, every session with the bits of ``streamsep separate``."""
    with running(ServeOptions(port=0, model=str(model), max_sessions=8, exact=True)) as server:
        yield server


@pytest.fixture(scope="session")
def strict(model: Path) -> Iterator[Running]:
    """Two places, a token, little patience."""
    options = ServeOptions(
        port=0,
        model=str(model),
        max_sessions=2,
        token="open sesame",
        hello_timeout=0.5,
        idle_timeout=1.0,
        resume_time=0.5,
        drain_time=3.0,
        max_message=100_000,
    )
    with running(options) as server:
        yield server
