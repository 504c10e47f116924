"""A net with every part of the real one, a hundredth of its size. No test of these packages needs shipped weights."""

from __future__ import annotations

import torch

from streamsep.config import CodecConfig, ConditionConfig, LMConfig, ModelConfig
from streamsep.model.net import Net

SMALL = ModelConfig(
    name="small",
    codec=CodecConfig(
        semantic_codebooks=3,
        acoustic_codebooks=2,
        codebook_size=17,
        code_dim=8,
        dim=16,
        acoustic_dim=16,
        band_width=4,
        semantic_layers=1,
        encoder_layers=1,
        decoder_layers=1,
    ),
    condition=ConditionConfig(
        band_dim=8, tokens=4, shared=(2, 1, 1), dim=16, layers=1, heads=2, kernel=3, left_context=5, out_dim=12, zoom=4
    ),
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
    ),
)


def small_net() -> Net:
    """Random weights, none of them zero: what is not used cannot be wrong."""
    torch.manual_seed(11)
    net = Net(SMALL)
    for parameter in net.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.3)
    net.share_tables()
    return net.eval()
