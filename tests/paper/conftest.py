"""Paper models of a few thousand numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from streamsep.config import CodecConfig
from streamsep.paper.config import PaperConfig, PaperModelConfig
from streamsep.paper.net import PaperNet

CODEC = CodecConfig(
    semantic_codebooks=2,
    acoustic_codebooks=2,
    codebook_size=24,
    code_dim=8,
    dim=16,
    acoustic_dim=16,
    band_width=2,
    semantic_layers=1,
    encoder_layers=1,
    decoder_layers=1,
)
SMALL = {
    "frames": 6,
    "overlap": 2,
    "mels": 20,
    "condition_dim": 16,
    "condition_layers": 2,
    "condition_heads": 2,
    "condition_kernel": 5,
    "dim": 24,
    "layers": 2,
    "heads": 2,
    "mlp_dim": 32,
}

MakeNet = Callable[..., PaperNet]


@pytest.fixture
def make_net() -> MakeNet:
    def make(**changes: object) -> PaperNet:
        torch.manual_seed(3)
        paper = PaperConfig(**{**SMALL, **changes})  # type: ignore[arg-type]
        return PaperNet(PaperModelConfig(CODEC, paper)).eval()

    return make
