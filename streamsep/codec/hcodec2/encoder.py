"""Acoustic encoder: samples → channels at the token rate. Knows nothing of codebooks.

Causal in the flag's sense only: 10 ms of look-ahead remain from the STFT, and memory is unbounded.
"""

from __future__ import annotations

from torch import Tensor, nn

from streamsep.codec.hcodec2.blocks import EPS, ConvNeXtBlock, Transpose
from streamsep.codec.hcodec2.config import EncoderConfig
from streamsep.codec.hcodec2.conv import Conv1d
from streamsep.codec.hcodec2.spectral import STFT
from streamsep.codec.hcodec2.transformer import Transformer


class Encoder(nn.Module):
    """Samples [B, L], L a multiple of a token's → [B, dimension, tokens]."""

    def __init__(self, cfg: EncoderConfig) -> None:
        super().__init__()
        self.stft = STFT(cfg.n_fft, cfg.hop_length)
        self.embed = Conv1d(cfg.n_fft + 2, cfg.dim, 3, causal=cfg.causal)
        self.norm = nn.LayerNorm(cfg.dim, eps=EPS)
        scale = 1 / max(cfg.convnext_layers, 1)
        self.prior_net = nn.Sequential(
            *(ConvNeXtBlock(cfg.dim, cfg.intermediate_dim, cfg.causal, scale) for _ in range(cfg.convnext_layers))
        )
        self.post_net = nn.Sequential(
            Transpose(), Transformer(cfg.dim, cfg.transformer_layers, cfg.causal), Transpose()
        )
        self.final_layer_norm = nn.LayerNorm(cfg.dim, eps=EPS)
        self.out = Conv1d(cfg.dim, cfg.dimension, 2 * cfg.factor + 1, cfg.factor, causal=cfg.causal)

    def forward(self, wave: Tensor) -> Tensor:
        x = self.norm(self.embed(self.stft(wave)).transpose(1, 2)).transpose(1, 2)
        x = self.post_net(self.prior_net(x))
        return self.out(self.final_layer_norm(x.transpose(1, 2)).transpose(1, 2))
