"""A small H-Codec-2.0 and something for it to code."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from streamsep.codec.hcodec2.config import (
    DecoderConfig,
    EncoderConfig,
    HCodec2Config,
    QuantizerConfig,
    SemanticDecoderConfig,
    SemanticEncoderConfig,
)
from streamsep.codec.hcodec2.model import HCodec2

HOP = 80


def small_config(causal: bool = False, rate: int = 4_000) -> HCodec2Config:
    """The published layout, every part of it once or twice, at small widths."""
    hop = rate // 50
    shape = {"n_fft": 2 * hop, "hop_length": hop, "transformer_layers": 1, "dim": 32, "causal": causal}
    return HCodec2Config(
        sampling_rate=rate,
        encoder_config=EncoderConfig(intermediate_dim=40, dimension=8, convnext_layers=2, **shape),
        decoder_config=DecoderConfig(intermediate_dim=48, input_channels=16, convnext_layers=1, **shape),
        quantizer_config=QuantizerConfig(dim=8, codebook_size=16, num_quantizers=3),
        semantic_encoder_config=SemanticEncoderConfig(6, 8, 8, (1, 1.5, 1), (2, 1, 2)),
        semantic_decoder_config=SemanticDecoderConfig(8, 6, 8, (1, 1.5, 1), (2, 1, 2)),
    )


def small_codec(causal: bool = False, rate: int = 4_000, seed: int = 0) -> HCodec2:
    """With weights that make every part matter: norms that scale, codebooks of the size of what they quantize."""
    generator = torch.Generator().manual_seed(seed)

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator)

    model = HCodec2(small_config(causal, rate)).eval().requires_grad_(False)
    for name, value in model.named_parameters():
        if value.dim() > 1:
            value.copy_(noise(value) / math.sqrt(value[0].numel()))
        elif name.endswith("weight") or name.endswith("gamma"):
            value.copy_(1 + 0.2 * noise(value))
        else:
            value.copy_(0.1 * noise(value))
    for quantizer in (model.quantizer, model.semantic_quantizer):
        for layer, book in enumerate(quantizer.codebooks):
            book.initted.fill_(1)
            book.embed.copy_(noise(book.embed) * 0.6**layer)
            book.embed_avg.copy_(book.embed)
            book.cluster_size.fill_(1)
    return model


def small_wave(samples: int, rate: int = 4_000, seed: int = 1) -> Tensor:
    """[1, samples]: two tones in noise, never silent."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / rate
    tones = 0.2 * torch.sin(2 * torch.pi * 220 * time) + 0.1 * torch.sin(2 * torch.pi * 570 * time + 1)
    return (tones + 0.05 * torch.randn(samples, generator=generator))[None]


def small_features(frames: int, seed: int = 2) -> Tensor:
    """[1, 6, frames]."""
    return torch.randn(1, 6, frames, generator=torch.Generator().manual_seed(seed))
