"""Residual vector quantizer: each codebook quantizes what the ones before it left over. Knows vectors only.

Codebooks are running means of what they serve (van den Oord et al., arXiv 1711.00937, appendix A), start from k-means
on the first batch and get dead entries back from rows that are served badly (as in SoundStream, arXiv 2107.03312).
No gradient reaches them; it passes straight through to the encoder, which a commitment loss keeps close.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

_START_ROWS = 65_536  # rows that k-means looks at
_START_ROUNDS = 8


@dataclass(frozen=True)
class Quantized:
    """Result of :meth:`ResidualVQ.forward`.

    ``codes`` [..., Q] int64; ``latent`` [..., C], gradient passed straight through; ``loss`` the commitment loss, a
    scalar; ``residual`` [..., C] what no codebook caught.
    """

    codes: Tensor
    latent: Tensor
    loss: Tensor
    residual: Tensor


def nearest(rows: Tensor, table: Tensor) -> Tensor:
    """Index of the nearest entry, Euclidean: ``rows`` [N, C], ``table`` [K, C] → [N] int64."""
    return torch.addmm(-0.5 * table.square().sum(-1), rows, table.T).argmax(-1)


def _tally(rows: Tensor, codes: Tensor, weight: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Weight [K] and weighted sum [K, C] of the rows that each code got, over all processes of a distributed run."""
    count = rows.new_zeros(size).index_add_(0, codes, weight)
    total = rows.new_zeros(size, rows.shape[1]).index_add_(0, codes, rows * weight[:, None])
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(count)
        dist.all_reduce(total)
    return count, total


def _badly_served(rows: Tensor, chosen: Tensor, weight: Tensor, count: int) -> Tensor:
    """``count`` of ``rows`` [N, C], drawn with a chance that grows with their weight and squared error."""
    chance = (rows - chosen).square().sum(-1) * weight
    limit = _START_ROWS if len(rows) > _START_ROWS else len(rows)
    return rows[torch.multinomial(chance[:limit] + 1e-12, count, replacement=True)]


def k_means(rows: Tensor, weight: Tensor, size: int, rounds: int = _START_ROUNDS) -> tuple[Tensor, Tensor]:
    """``size`` means of ``rows`` [N, C] with ``weight`` [N], and the weight that each serves: [K, C], [K]."""
    seeds = torch.multinomial(weight + 1e-12, size, replacement=len(rows) < size)
    table, count = rows[seeds], weight.new_zeros(size)
    for _ in range(rounds):
        codes = nearest(rows, table)
        count, total = _tally(rows, codes, weight, size)
        spare = _badly_served(rows, table[codes], weight, size)
        table = torch.where(count[:, None] > 0, total / count.clamp(min=1e-12)[:, None], spare)
    return table, count


class ResidualVQ(nn.Module):
    """``codebooks`` tables of ``size`` vectors of ``dim`` numbers.

    Args:
        decay: memory of the running means, per training batch; it grows to this from next to nothing.
        restart: an entry used less than this fraction of the mean is dead and gets a new place.
        dropout: fraction of training rows whose latent is made from a random number of codebooks, at least one, so
            that fewer codebooks decode well.
    """

    vectors: Tensor  # [Q, K, C]
    counts: Tensor  # [Q, K] running weight of the rows that each entry serves
    updates: Tensor  # [] int64: training batches seen; 0 when the codebooks have not been started

    def __init__(
        self, codebooks: int, size: int, dim: int, decay: float = 0.98, restart: float = 0.1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.decay, self.restart, self.dropout = decay, restart, dropout
        start = torch.randn(codebooks, size, dim, generator=torch.Generator().manual_seed(0))
        self.register_buffer("vectors", start * 0.5 ** torch.arange(codebooks)[:, None, None])
        self.register_buffer("counts", torch.ones(codebooks, size))
        self.register_buffer("updates", torch.tensor(0))

    @property
    def codebooks(self) -> int:
        return self.vectors.shape[0]

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Quantized:
        """Quantize; in training mode also move the codebooks.

        Args:
            x: [..., C].
            weight: [...] how much a row counts for codebooks and loss; 1 when None.
        """
        with torch.autocast(x.device.type, enabled=False):
            rows = x.reshape(-1, x.shape[-1]).float()
            heft = torch.ones_like(rows[:, 0]) if weight is None else weight.reshape(-1).float()
            if self.training:
                if not self.updates:
                    self._start(rows.detach(), heft)
                self.updates += 1
            return self._quantize(x, rows, heft)

    def _quantize(self, x: Tensor, rows: Tensor, weight: Tensor) -> Quantized:
        residual, latent, loss = rows, torch.zeros_like(rows), rows.new_zeros(())
        used = self._used_codebooks(rows)
        codes: list[Tensor] = []
        for q in range(self.codebooks):
            code = nearest(residual.detach(), self.vectors[q])
            chosen = F.embedding(code, self.vectors[q])
            if self.training:
                self._move(q, residual.detach(), code, chosen, weight)
            residual = residual - chosen
            loss = loss + (residual.square().mean(-1) * weight).sum()
            latent = latent + (chosen if used is None else chosen * (used > q)[:, None])
            codes.append(code)
        # Relative to the latents' own spread: neither shrinking them nor a large common offset pays.
        mean = (rows * weight[:, None]).sum(0) / weight.sum().clamp(min=1e-6)
        power = ((rows - mean).detach().square().mean(-1) * weight).sum()
        latent = rows + (latent - rows).detach()
        return Quantized(
            torch.stack(codes, -1).view(*x.shape[:-1], -1),
            latent.view(x.shape),
            loss / (power + 1e-8),
            residual.detach().view(x.shape),
        )

    def _used_codebooks(self, rows: Tensor) -> Tensor | None:
        """[N] how many codebooks each row's latent is made from, or None for all."""
        if not self.training or self.dropout == 0:
            return None
        some = torch.randint(1, self.codebooks + 1, rows.shape[:1], device=rows.device)
        return torch.where(torch.rand(rows.shape[:1], device=rows.device) < self.dropout, some, self.codebooks)

    @torch.no_grad()
    def _start(self, rows: Tensor, weight: Tensor) -> None:
        if len(rows) > _START_ROWS:
            pick = torch.randperm(len(rows), device=rows.device)[:_START_ROWS]
            rows, weight = rows[pick], weight[pick]
        for q in range(self.codebooks):
            table, count = k_means(rows, weight, self.vectors.shape[1])
            self.vectors[q], self.counts[q] = table, count
            rows = rows - table[nearest(rows, table)]

    @torch.no_grad()
    def _move(self, q: int, rows: Tensor, codes: Tensor, chosen: Tensor, weight: Tensor) -> None:
        """Advance codebook ``q``. Running sums need no buffer of their own: they are counts times vectors."""
        count, total = _tally(rows, codes, weight, self.vectors.shape[1])
        # A young encoder moves fast, and what does not follow is left without rows: the memory grows with age.
        decay = torch.clamp((1 + self.updates) / (10 + self.updates), max=self.decay)
        new = decay * self.counts[q] + (1 - decay) * count
        table = self.vectors[q]
        table = table + (1 - decay) * (total - count[:, None] * table) / new.clamp(min=1e-6)[:, None]
        mean = new.mean()
        dead = new < self.restart * mean
        fresh = _badly_served(rows, chosen, weight, len(new))
        self.vectors[q] = torch.where(dead[:, None], fresh, table)
        self.counts[q] = torch.where(dead, mean, new)

    @torch.no_grad()
    def encode(self, x: Tensor, codebooks: int | None = None) -> Tensor:
        """``x`` [..., C] → codes [..., q] int64 of the first q codebooks (all when None). Never moves a codebook."""
        with torch.autocast(x.device.type, enabled=False):
            residual = x.reshape(-1, x.shape[-1]).float()
            codes: list[Tensor] = []
            for table in self.vectors[:codebooks]:
                codes.append(nearest(residual, table))
                residual = residual - table[codes[-1]]
        return torch.stack(codes, -1).view(*x.shape[:-1], -1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [..., q] of the first q codebooks → latent [..., C], the sum of their vectors."""
        size = self.vectors.shape[1]
        offset = torch.arange(codes.shape[-1], device=codes.device) * size
        return F.embedding(codes + offset, self.vectors.flatten(0, 1)).sum(-2)

    def perplexity(self) -> Tensor:
        """[Q] in 1 … K: how many entries of each codebook are in use, as the exponential of their use's entropy."""
        p = self.counts / self.counts.sum(-1, keepdim=True).clamp(min=1e-12)
        return torch.special.entr(p).sum(-1).exp()
