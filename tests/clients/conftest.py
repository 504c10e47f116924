"""A server on a small model, for clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

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
def server(model: Path) -> Iterator[Running]:
    """Three places."""
    with running(ServeOptions(port=0, model=str(model), max_sessions=3)) as server:
        yield server
