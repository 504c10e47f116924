"""A pool, held-out songs and a codec, as small as they can be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamsep.codec.model import Codec
from streamsep.data.dataset import compose_dataset
from streamsep.train.checkpoint import save_weights
from streamsep.train.loop import BEST
from streamsep.train.recipe import load_recipe
from tests.cli.conftest import run as run

RECIPE = """
[model.codec]
semantic_codebooks = 2
acoustic_codebooks = 2
codebook_size = 16
code_dim = 8
dim = 16
acoustic_dim = 16
band_width = 2
semantic_layers = 1
encoder_layers = 1
decoder_layers = 1

[model.paper]
aligned = true
frames = 10
overlap = 2
mels = 20
condition_dim = 16
condition_layers = 1
condition_heads = 2
condition_kernel = 5
condition_ff_mult = 2
dim = 16
layers = 1
heads = 2
mlp_dim = 16

[paper]
steps = 12
batch = 2
frames = 10
lr = 1e-2
warmup = 2
ema = 0.5
log_every = 1
save_every = 5
score_every = 12
"""


@pytest.fixture(scope="session")
def small_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``pool`` to train on and ``test`` to measure on."""
    folder = tmp_path_factory.mktemp("songs")
    compose_dataset(folder / "pool", 2, 4.0, seed=5)
    compose_dataset(folder / "test", 2, 4.0, seed=6, format="wav")
    return folder


@pytest.fixture
def runs(small_recipe: Path, tmp_path: Path) -> Path:
    """A folder with a codec in it, as the stage before leaves it: untrained, but its codes mean something."""
    torch.manual_seed(0)
    (tmp_path / "codec").mkdir()
    save_weights(tmp_path / "codec" / BEST, Codec(load_recipe(str(small_recipe)).model.codec))
    return tmp_path
