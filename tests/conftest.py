"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile
import torch

from tests.sounds import tune

if TYPE_CHECKING:
    from streamsep.engine.separator import Separator

# Triton's kernels run on the CPU, interpreted, where there is no GPU; that must be said before anything imports Triton.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

Song = Callable[..., Path]


@pytest.fixture
def make_song(tmp_path: Path) -> Song:
    """``make_song(name, seconds=…, rate=…, channels=…, subtype=…)`` writes a song under ``tmp_path``."""

    def make(
        name: str = "song.wav",
        seconds: float = 1.0,
        rate: int = 44_100,
        channels: int = 2,
        subtype: str | None = None,
        seed: int = 0,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tune(seconds, rate, channels, seed).T, rate, subtype=subtype)
        return path

    return make


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model in a folder. What needs it is imported here: many tests do without."""
    from streamsep.model.checkpoint import save_model
    from tests.model.small import small_net

    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(folder, small_net(), torch.float32)
    return folder


@pytest.fixture(scope="session")
def separator(model: Path) -> Separator:
    """That model, loaded as a user would load it."""
    from streamsep.engine.separator import load

    return load(model)


@pytest.fixture(scope="session")
def codec_separator(model: Path) -> Separator:
    from streamsep.engine.separator import load

    return load(model, render="codec")
