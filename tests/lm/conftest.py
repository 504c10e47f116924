from collections.abc import Callable

import pytest
import torch

from streamsep.config import CodecConfig, ConditionConfig, LMConfig, ModelConfig
from streamsep.lm import LanguageModel


def small_config(order: str = "wavefront") -> ModelConfig:
    """A net with every part of the real one, a hundredth of its size."""
    return ModelConfig(
        name="test",
        codec=CodecConfig(semantic_codebooks=3, acoustic_codebooks=2, codebook_size=17, code_dim=8),
        condition=ConditionConfig(out_dim=12),
        lm=LMConfig(
            dim=32,
            layers=2,
            heads=4,
            kv_heads=2,
            window=6,
            mlp_dim=48,
            depth_dim=24,
            depth_layers=2,
            depth_heads=2,
            depth_mlp_dim=32,
            order=order,
        ),
    )


@pytest.fixture
def make_lm() -> Callable[..., LanguageModel]:
    def make(order: str = "wavefront") -> LanguageModel:
        torch.manual_seed(7)
        return LanguageModel(small_config(order))

    return make
