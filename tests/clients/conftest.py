"""A server on a small model, for clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsep.serve.options import ServeOptions
from tests.serve.running import Running, running


@pytest.fixture(scope="session")
def server(model: Path) -> Iterator[Running]:
    """Three places."""
    with running(ServeOptions(port=0, model=str(model), max_sessions=3)) as server:
        yield server


@pytest.fixture
def forgetful(server: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The same, while it keeps no session whose connection is lost."""
    monkeypatch.setattr(server.server.hub, "_patience", 0.0)
    return server
