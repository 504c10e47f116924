"""Residual vector quantizer with the published names; for use only, it learns nothing. Knows vectors only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from streamsep.codec.hcodec2.config import QuantizerConfig

NO_CODE = -1  # a code that contributes nothing: how fewer codebooks are decoded


class Codebook(nn.Module):
    """One table. ``cluster_size`` and ``embed_avg`` are running sums of training; ``initted`` is 0 before it began."""

    initted: Tensor  # [1]
    cluster_size: Tensor  # [1, K]
    embed_avg: Tensor  # [1, K, C]
    embed: Tensor  # [1, K, C]

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("initted", torch.zeros(1))
        self.register_buffer("cluster_size", torch.zeros(1, size))
        self.register_buffer("embed_avg", torch.zeros(1, size, dim))
        self.register_buffer("embed", torch.zeros(1, size, dim))

    def encode(self, rows: Tensor) -> Tensor:
        """[..., C] → the nearest entry's index [...] int64, by Euclidean distance in float32."""
        rows, table = rows.float(), self.embed[0].float()
        distance = rows.square().sum(-1, keepdim=True) + table.square().sum(-1) - 2 * rows @ table.T
        return distance.clamp(min=0).sqrt().argmin(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [...] int64 → vectors [..., C], zeros for :data:`NO_CODE`."""
        return F.embedding(codes.clamp(min=0), self.embed[0]) * (codes >= 0).unsqueeze(-1)


class CodebookLayer(nn.Module):
    """Stands where the published names have one."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self._codebook = Codebook(size, dim)

    @property
    def codebook(self) -> Codebook:
        return self._codebook


class ResidualVQ(nn.Module):
    """``num_quantizers`` tables, each for what the ones before it left over."""

    def __init__(self, cfg: QuantizerConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CodebookLayer(cfg.codebook_size, cfg.dim) for _ in range(cfg.num_quantizers))

    @property
    def codebooks(self) -> list[Codebook]:
        return [layer.codebook for layer in self.layers if isinstance(layer, CodebookLayer)]

    def encode(self, x: Tensor) -> Tensor:
        """[B, C, N] → codes [B, Q, N] int64."""
        residual = x.transpose(1, 2)
        codes: list[Tensor] = []
        for book in self.codebooks:
            codes.append(book.encode(residual))
            residual = residual - book.decode(codes[-1])
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, q, N] int64 of the first q tables → the sum of their vectors, [B, C, N]."""
        total = sum(book.decode(row) for book, row in zip(self.codebooks, codes.unbind(1), strict=False))
        assert isinstance(total, Tensor)
        return total.transpose(1, 2)
