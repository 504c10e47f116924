"""A pool composed from nothing, and a recipe a hundredth of the real one's size."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamsep.data.dataset import compose_dataset

RECIPE = """
[model.codec]
codebook_size = 32
code_dim = 16
dim = 32
acoustic_dim = 16
band_width = 2
semantic_layers = 1
encoder_layers = 1
decoder_layers = 1

[model.condition]
band_dim = 8
tokens = 5
dim = 16
layers = 1
heads = 2
kernel = 3
left_context = 8
out_dim = 16

[model.lm]
dim = 32
layers = 1
heads = 4
kv_heads = 2
window = 16
mlp_dim = 32
depth_dim = 16
depth_layers = 1
depth_heads = 2
depth_mlp_dim = 16

[model.paper]
aligned = true
frames = 25
overlap = 4
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

[guide]
steps = 40
batch = 4
frames = 30
lr = 5e-3
warmup = 2
log_every = 1
save_every = 5
score_every = 40

[codec]
steps = 120
batch = 4
frames = 30
lr = 3e-3
warmup = 5
ema = 0.0
log_every = 1
save_every = 40
score_every = 120
options = { semantic_share = 0.8 }

[lm]
steps = 8
batch = 4
frames = 30
lr = 3e-3
warmup = 2
log_every = 1
save_every = 4
score_every = 8
options = { acoustic_share = 0.3, mask = 0.1, own = 0.5 }

[paper]
steps = 30
batch = 4
frames = 25
lr = 1e-2
warmup = 2
ema = 0.5
log_every = 1
save_every = 10
score_every = 30
options = { mask = 0.1 }
"""


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    compose_dataset(folder, 4, 4.0, seed=3)
    return folder


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE)
    return path
