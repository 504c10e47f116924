"""The codec: samples and teacher features ↔ two streams of tokens. Knows no file and no teacher.

samples ── encoder ──────────── quantizer ────────── acoustic codes [B, 16, N] ┐
features ─ semantic encoder ─── semantic quantizer ─ semantic codes [B, 16, N] ┴ decoder ── samples
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.codec.hcodec2.config import PUBLISHED, HCodec2Config
from streamsep.codec.hcodec2.decoder import Decoder
from streamsep.codec.hcodec2.encoder import Encoder
from streamsep.codec.hcodec2.quantizer import ResidualVQ
from streamsep.codec.hcodec2.semantic import SemanticDecoder, SemanticEncoder


def compress(features: Tensor) -> Tensor:
    """sign(x)·|x|^0.3: what is made of a teacher's features before they are encoded."""
    return features.sign() * features.abs().pow(0.3)


class HCodec2(nn.Module):
    """H-Codec-2.0. Whole utterances only: see the package's docstring for what is not causal in it."""

    def __init__(self, cfg: HCodec2Config = PUBLISHED) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder = Encoder(cfg.encoder_config)
        self.decoder = Decoder(cfg.decoder_config)
        self.quantizer = ResidualVQ(cfg.quantizer_config)
        self.semantic_quantizer = ResidualVQ(cfg.quantizer_config)
        self.semantic_encoder = SemanticEncoder(cfg.semantic_encoder_config)
        self.semantic_decoder = SemanticDecoder(cfg.semantic_decoder_config)

    def pad(self, wave: Tensor) -> Tensor:
        """[B, L] → zeros appended up to a whole number of tokens."""
        return F.pad(wave, (0, -wave.shape[-1] % self.cfg.token_hop))

    @torch.no_grad()
    def encode(self, wave: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            wave: [B, N · token_hop] samples, see :meth:`pad`.
            features: [B, input_channels, N · factor] teacher features at 50 Hz, see :func:`compress`.

        Returns acoustic and semantic codes, [B, Q, N] int64 each. Raises ValueError for lengths that do not belong
        together.
        """
        factor, frames = self.cfg.encoder_config.factor, wave.shape[-1] // self.cfg.encoder_config.hop_length
        if wave.shape[-1] % self.cfg.token_hop or features.shape[-1] != frames or frames % factor:
            raise ValueError(f"{wave.shape[-1]} samples and {features.shape[-1]} feature frames are not whole tokens")
        acoustic = self.quantizer.encode(self.encoder(wave))
        return acoustic, self.semantic_quantizer.encode(self.semantic_encoder(features))

    @torch.no_grad()
    def decode(self, acoustic: Tensor, semantic: Tensor) -> Tensor:
        """Codes [B, q, N] int64 each, q ≤ Q of the first codebooks → samples [B, N · token_hop]."""
        embeddings = self.quantizer.decode(acoustic), self.semantic_quantizer.decode(semantic)
        return self.decoder(torch.cat(embeddings, 1))
