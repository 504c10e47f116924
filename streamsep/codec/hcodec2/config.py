"""Every number that defines an H-Codec-2.0, under the names of its published configuration. Knows nothing of torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FRAME_RATE = 50  # frames a second that tokens are counted in, whatever sample rate and hop say


class _Tokens:
    """What encoder and decoder say of their tokens alike."""

    target_frame_rate: float

    @property
    def factor(self) -> int:
        """Frames a token stands for."""
        return int(FRAME_RATE / self.target_frame_rate)


@dataclass(frozen=True)
class EncoderConfig(_Tokens):
    """STFT → ConvNeXt → transformer → ``dimension`` channels at the token rate."""

    dim: int = 1536
    intermediate_dim: int = 4608
    dimension: int = 512
    n_fft: int = 1920
    hop_length: int = 960
    convnext_layers: int = 24
    transformer_layers: int = 2
    target_frame_rate: float = 12.5
    causal: bool = False


@dataclass(frozen=True)
class DecoderConfig(_Tokens):
    """Both embeddings → residual blocks and transformer → ConvNeXt → inverse STFT."""

    input_channels: int = 1024
    dim: int = 1536
    intermediate_dim: int = 4608
    convnext_layers: int = 32
    transformer_layers: int = 2
    n_fft: int = 1920
    hop_length: int = 960
    target_frame_rate: float = 12.5
    causal: bool = False


@dataclass(frozen=True)
class QuantizerConfig:
    """One residual quantizer; there are two alike. What only training reads is kept so that a file stays complete."""

    dim: int = 512
    codebook_size: int = 1024
    num_quantizers: int = 16
    decay: float = 0.99
    kmeans_init: bool = True
    kmeans_iters: int = 50
    quantize_dropout: bool = False


@dataclass(frozen=True)
class SemanticEncoderConfig:
    """Teacher features at 50 Hz → ``out_channels`` at the token rate."""

    input_channels: int = 768
    encode_channels: int = 1536
    out_channels: int = 512
    channel_ratios: tuple[float, ...] = (1, 1, 1)
    strides: tuple[int, ...] = (2, 1, 2)


@dataclass(frozen=True)
class SemanticDecoderConfig:
    """Semantic embedding → teacher features. Only training needs it."""

    code_dim: int = 512
    output_channels: int = 768
    decode_channels: int = 1536
    channel_ratios: tuple[float, ...] = (1, 1, 1)
    strides: tuple[int, ...] = (2, 1, 2)


@dataclass(frozen=True)
class HCodec2Config:
    """The whole codec. The defaults are the published sizes: 1,243 M parameters, 4 kbit/s."""

    sampling_rate: int = 48_000
    encoder_config: EncoderConfig = field(default_factory=EncoderConfig)
    decoder_config: DecoderConfig = field(default_factory=DecoderConfig)
    quantizer_config: QuantizerConfig = field(default_factory=QuantizerConfig)
    semantic_encoder_config: SemanticEncoderConfig = field(default_factory=SemanticEncoderConfig)
    semantic_decoder_config: SemanticDecoderConfig = field(default_factory=SemanticDecoderConfig)

    @property
    def token_hop(self) -> int:
        """Samples of one token."""
        return self.encoder_config.factor * self.encoder_config.hop_length

    @property
    def token_rate(self) -> float:
        """Tokens a second, in each codebook."""
        return self.sampling_rate / self.token_hop

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON takes them."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> HCodec2Config:
        """Inverse of :meth:`to_dict`; also reads the published layout. Raises TypeError or ValueError for another."""
        parts = {
            "encoder_config": EncoderConfig,
            "decoder_config": DecoderConfig,
            "quantizer_config": QuantizerConfig,
            "semantic_encoder_config": SemanticEncoderConfig,
            "semantic_decoder_config": SemanticDecoderConfig,
        }
        unknown = raw.keys() - parts.keys() - {"sampling_rate"}
        if unknown:
            raise ValueError(f"unknown '{min(unknown)}'")
        made = {name: kind(**_tuples(raw[name])) for name, kind in parts.items() if name in raw}
        config = HCodec2Config(int(raw.get("sampling_rate", 48_000)), **made)
        _check(config)
        return config


PUBLISHED = HCodec2Config()


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}


def _check(config: HCodec2Config) -> None:
    """Raise ValueError for parts that do not fit together."""
    encoder, decoder, books = config.encoder_config, config.decoder_config, config.quantizer_config
    semantic = config.semantic_encoder_config
    stride = 1
    for each in semantic.strides:
        stride *= each
    rules = (
        (encoder.dimension == books.dim, "encoder_config.dimension differs from quantizer_config.dim"),
        (semantic.out_channels == books.dim, "semantic_encoder_config.out_channels differs from quantizer_config.dim"),
        (decoder.input_channels == 2 * books.dim, "decoder_config.input_channels is not twice quantizer_config.dim"),
        (encoder.factor == decoder.factor == stride, "target_frame_rate and the semantic strides give different rates"),
        (encoder.hop_length == decoder.hop_length, "encoder and decoder have different hop_length"),
        (decoder.dim % 32 == 0, "decoder_config.dim is no multiple of 32"),
        (encoder.n_fft == 2 * encoder.hop_length, "n_fft is not twice hop_length"),
        (config.sampling_rate == FRAME_RATE * encoder.hop_length, f"sampling_rate is not {FRAME_RATE} hop_length"),
    )
    for holds, text in rules:
        if not holds:
            raise ValueError(text)
