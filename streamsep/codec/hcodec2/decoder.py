"""Decoder: both embeddings → samples. Knows nothing of codebooks.

**Never causal**: nine group norms take their statistics over the whole utterance, so that any token changes every
sample; the ``causal`` flag moves the padding of the convolutions and masks attention, no more.
"""

from __future__ import annotations

from torch import Tensor, nn

from streamsep.codec.hcodec2.blocks import EPS, GROUPS, ConvNeXtBlock, ResnetBlock, Transpose
from streamsep.codec.hcodec2.config import DecoderConfig
from streamsep.codec.hcodec2.conv import Conv1d
from streamsep.codec.hcodec2.spectral import ISTFTHead
from streamsep.codec.hcodec2.transformer import Transformer


class Decoder(nn.Module):
    """[B, acoustic + semantic channels, tokens] → samples [B, L]."""

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        self.factor = cfg.factor
        self.embed = Conv1d(cfg.input_channels, cfg.dim, cfg.factor + 1, causal=cfg.causal)
        self.norm = nn.LayerNorm(cfg.dim, eps=EPS)
        scale = 1 / max(cfg.convnext_layers, 1)
        self.post_net = nn.Sequential(
            *(ConvNeXtBlock(cfg.dim, cfg.intermediate_dim, cfg.causal, scale) for _ in range(cfg.convnext_layers))
        )
        self.final_layer_norm = nn.LayerNorm(cfg.dim, eps=EPS)
        self.prior_net = nn.Sequential(
            ResnetBlock(cfg.dim, cfg.causal),
            ResnetBlock(cfg.dim, cfg.causal),
            Transpose(),
            Transformer(cfg.dim, cfg.transformer_layers, cfg.causal),
            Transpose(),
            ResnetBlock(cfg.dim, cfg.causal),
            ResnetBlock(cfg.dim, cfg.causal),
            nn.GroupNorm(GROUPS, cfg.dim, eps=EPS),
        )
        self.head = ISTFTHead(cfg.dim, cfg.n_fft, cfg.hop_length)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prior_net(self.embed(x.repeat_interleave(self.factor, -1)))
        x = self.post_net(self.norm(x.transpose(1, 2)).transpose(1, 2))
        return self.head(self.final_layer_norm(x.transpose(1, 2)))
