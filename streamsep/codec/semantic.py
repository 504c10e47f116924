"""Semantic path: teacher features ↔ tokens ↔ envelopes, frame by frame. Knows features; knows nothing of spectra.

Neither encoder nor decoder has a memory: what a token means never depends on its neighbours, so that a language model
may hand in the mean of what it holds possible (code vectors weighted by their probabilities) and get sensible
envelopes. A linear way past each MLP keeps such blends close to blends of what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from kernels.reference.frame_net import FrameBlockWeights, FrameNetWeights, frame_net
from streamsep.codec.blocks import FrameBlock
from streamsep.codec.envelope import ENVELOPE_FEATURES, FLOOR
from streamsep.codec.quantizer import Quantized, ResidualVQ
from streamsep.codec.teacher import EnvelopeTeacher
from streamsep.config import CodecConfig
from streamsep.streaming import State, StreamModule
from streamsep.streaming.held import Held

_SILENT_WEIGHT = 0.02  # of a silent frame: silence is common, one code is enough for it


class FrameNet(nn.Module):
    """MLP with a linear way past it, [..., inputs] → [..., outputs]."""

    def __init__(self, inputs: int, dim: int, outputs: int, layers: int, mult: int) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, outputs)
        self.enter = nn.Linear(inputs, dim)
        self.blocks = nn.Sequential(*(FrameBlock(dim, mult) for _ in range(layers)))
        self.norm = nn.RMSNorm(dim)
        self.leave = nn.Linear(dim, outputs, bias=False)
        nn.init.normal_(self.leave.weight, std=0.2 * dim**-0.5)
        self.weights = Held(self, self._gather)

    def forward(self, x: Tensor) -> Tensor:
        return self.straight(x) + self.leave(self.norm(self.blocks(self.enter(x))))

    def _gather(self) -> FrameNetWeights:
        straight, enter = self.straight, self.enter
        blocks = tuple(
            FrameBlockWeights(block.norm.weight, block.up.weight, block.up.bias, block.down.weight, block.down.bias)
            for block in cast("list[FrameBlock]", list(self.blocks))
        )
        return FrameNetWeights(
            *(straight.weight, straight.bias, enter.weight, enter.bias),
            *(blocks, self.norm.weight, self.leave.weight),
        )


@dataclass(frozen=True)
class SemanticOutput:
    """``features`` [..., F]: the reconstruction, the 240 envelopes first; ``quantized``: codes, latent and loss."""

    features: Tensor
    quantized: Quantized


def sounding(features: Tensor) -> Tensor:
    """Weight [...] of each frame of ``features`` [..., F]: 1, or little where every band is at the floor."""
    silent = features[..., :ENVELOPE_FEATURES].amax(-1) < FLOOR + 0.1
    return torch.where(silent, _SILENT_WEIGHT, 1.0)


class SemanticPath(StreamModule):
    """Encoder, residual quantizer and decoder of one stem's frame."""

    def __init__(self, cfg: CodecConfig, features_dim: int = EnvelopeTeacher.features_dim) -> None:
        super().__init__()
        shape = (cfg.semantic_layers, cfg.ff_mult)
        self.encoder = FrameNet(features_dim, cfg.dim, cfg.code_dim, *shape)
        self.quantizer = ResidualVQ(
            cfg.semantic_codebooks, cfg.codebook_size, cfg.code_dim, dropout=cfg.quantizer_dropout
        )
        self.decoder = FrameNet(cfg.code_dim, cfg.dim, features_dim, *shape)
        nn.init.constant_(self.decoder.straight.bias, 0.5 * FLOOR)
        self.frame_net: Callable[..., Tensor] = frame_net  # another implementation may be put in its place

    def forward(self, features: Tensor) -> SemanticOutput:
        """``features`` [..., F] → tokens and the features they stand for; in training mode codebooks move."""
        quantized = self.quantizer(self.encoder(features), sounding(features))
        return SemanticOutput(self.decoder(quantized.latent), quantized)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, state: State, active: Tensor | None = None
    ) -> SemanticOutput:
        """``forward`` for ``x`` [B, F]: this path has no memory."""
        return self(x)

    def encode(self, features: Tensor, codebooks: int | None = None) -> Tensor:
        """``features`` [..., F] → codes [..., q] int64 of the first q codebooks (all when None)."""
        return self.quantizer.encode(self.encoder(features), codebooks)

    def decode(self, latent: Tensor) -> Tensor:
        """Latent [..., C], a sum of code vectors or of their means → envelopes [..., 240]."""
        return self.decoder(latent)[..., :ENVELOPE_FEATURES]

    def decode_step(self, latent: Tensor) -> Tensor:
        """``decode`` in a step of a stream, where nothing is trained."""
        return self.frame_net(self.decoder.weights(), latent, ENVELOPE_FEATURES)
