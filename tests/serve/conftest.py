"""A small model in a folder, and a server on it that a module's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from streamsep.engine.separator import Separator, load
from streamsep.model.checkpoint import save_model
from streamsep.serve.options import ServeOptions
from tests.model.small import small_net
from tests.serve.running import Running, running


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(folder, small_net(), torch.float32)
    return folder


@pytest.fixture(scope="session")
def separator(model: Path) -> Separator:
    return load(model)


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
