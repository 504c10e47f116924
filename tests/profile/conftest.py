"""A small model in a folder, loaded as a user would load it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamsep.engine.separator import Separator, load
from streamsep.model.checkpoint import save_model
from tests.model.small import small_net


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(folder, small_net(), torch.float32)
    return folder


@pytest.fixture(scope="session")
def separator(model: Path) -> Separator:
    return load(model)


@pytest.fixture(scope="session")
def codec_separator(model: Path) -> Separator:
    return load(model, render="codec")
