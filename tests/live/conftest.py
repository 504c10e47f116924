"""A small model in a folder. What needs torch is imported by the fixture: most tests here do without."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from streamsep.model.checkpoint import save_model
    from tests.model.small import small_net

    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(folder, small_net(), torch.float32)
    return folder
