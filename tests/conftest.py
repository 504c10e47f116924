"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch

from tests.sounds import tune

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
