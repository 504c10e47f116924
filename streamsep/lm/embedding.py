"""Code tables and the embedding of the past. Knows code vectors and stems; knows nothing of attention.

A residual quantizer's code stands for a vector, and a stack of codes for their sum, the *latent*. Hard codes and
posterior means live in the same 64-dimensional space, so one projection a stem embeds both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamsep.config import STEMS, CodecConfig


class CodeTables(nn.Module):
    """The codec's code vectors, semantic codebooks first. Not trained here: copied in by :meth:`set_tables`."""

    vectors: Tensor  # [Q, K, C]
    scale: Tensor  # [2]: 1 / RMS of semantic and of acoustic latents

    def __init__(self, codec: CodecConfig) -> None:
        super().__init__()
        self.semantic = codec.semantic_codebooks
        self.register_buffer("vectors", torch.zeros(codec.codebooks, codec.codebook_size, codec.code_dim))
        self.register_buffer("scale", torch.ones(2))
        self.set_tables(torch.randn(self.vectors.shape, generator=torch.Generator().manual_seed(0)))

    def set_tables(self, vectors: Tensor) -> None:
        """Copy the codec's tables ``[Q, K, C]`` in. Raises ValueError for another shape."""
        if vectors.shape != self.vectors.shape:
            raise ValueError(f"code tables are {list(vectors.shape)}, the model needs {list(self.vectors.shape)}")
        with torch.no_grad():
            self.vectors.copy_(vectors)
            paths = self.vectors[: self.semantic], self.vectors[self.semantic :]
            for i, path in enumerate(paths):
                if path.numel():
                    self.scale[i] = path.square().mean((1, 2)).sum().clamp_min(1e-8).rsqrt()

    def lookup(self, codes: Tensor) -> Tensor:
        """``[..., q]`` int64 codes of the first q codebooks → their vectors ``[..., q, C]``."""
        size = self.vectors.shape[1]
        offset = torch.arange(codes.shape[-1], device=codes.device) * size
        return nn.functional.embedding(codes + offset, self.vectors.flatten(0, 1))

    def latent(self, codes: Tensor) -> Tensor:
        """``[..., q ≥ semantic]`` codes → semantic latent ``[..., C]``, the sum of the semantic code vectors."""
        return self.lookup(codes[..., : self.semantic]).sum(-2)


class HistoryEmbedding(nn.Module):
    """Latents of all stems one step ago → one vector. A stem without history adds its learned ``dropped`` vector."""

    def __init__(self, codec: CodecConfig, dim: int) -> None:
        super().__init__()
        self.project = nn.Parameter(torch.randn(len(STEMS), codec.code_dim, dim) / (2 * codec.code_dim**0.5))
        self.dropped = nn.Parameter(torch.randn(len(STEMS), dim) * 0.1)

    def forward(self, latent: Tensor, present: Tensor) -> Tensor:
        """Embed.

        Args:
            latent: ``[..., S, C]``, scaled to about unit RMS. Where absent it may hold anything.
            present: ``[..., S]`` bool.

        Returns ``[..., D]``, the sum over stems.
        """
        known = latent.masked_fill(~present.unsqueeze(-1), 0.0)
        absent = (~present).to(self.dropped.dtype)
        return known.flatten(-2) @ self.project.flatten(0, 1) + absent @ self.dropped
