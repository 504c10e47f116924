"""Depth transformer: the codes of one frame, code after code. Knows stems, codebooks and orders; knows nothing of time.

Input of place (stem s, codebook q): the frame's hidden state, the guide's envelopes of the stem, a place embedding, the
stem's latent so far (codebooks < q) and the latent of the stem before it (wavefront: up to q; sequential: all of it).
Attention over the other places of the frame then brings in the rest; `order.visible` says which.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from kernels.reference import DepthHeads, DepthWeights, LayerWeights, depth_logits, masked_attention
from kernels.reference.depth_entry import EntryWeights
from streamsep.config import ENVELOPES, STEMS, SUBFRAMES, CodecConfig, LMConfig
from streamsep.lm.block import Projections, RMSNorm, SwiGLU, init_block, layer_weights
from streamsep.lm.embedding import CodeTables
from streamsep.lm.plan import Plan
from streamsep.streaming.held import Held

GUIDE_DIM = SUBFRAMES * ENVELOPES
_GUIDE_HIDDEN = 64


class GuideProjection(nn.Module):
    """Guide envelopes ``[..., S, 240]`` → ``[..., S, D]`` by a small bottleneck of its own for each stem."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        stems = len(STEMS)
        self.down = nn.Parameter(torch.randn(stems, GUIDE_DIM, _GUIDE_HIDDEN) / GUIDE_DIM**0.5)
        self.bias = nn.Parameter(torch.zeros(stems, _GUIDE_HIDDEN))
        self.up = nn.Parameter(torch.randn(stems, _GUIDE_HIDDEN, dim) / _GUIDE_HIDDEN**0.5)

    def forward(self, guide: Tensor) -> Tensor:
        rows = guide.flatten(0, -3).transpose(0, 1)  # [S, N, 240]
        hidden = nn.functional.silu(torch.baddbmm(self.bias.unsqueeze(1), rows, self.down))
        return torch.bmm(hidden, self.up).transpose(0, 1).unflatten(0, guide.shape[:-2])


def _version(x: Tensor) -> int:
    """Counts changes in place; tensors made in inference mode do not count, and are not trained."""
    return -1 if x.is_inference() else x._version


class DepthBlock(nn.Module):
    """Pre-norm layer over the places of a frame."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        dim = config.depth_dim
        self.attention_norm = RMSNorm(dim)
        self.attention = Projections(dim, config.depth_heads, config.depth_heads)
        self.mlp_norm = RMSNorm(dim)
        self.mlp = SwiGLU(dim, config.depth_mlp_dim)
        init_block(self, config.depth_layers)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x ``[N, L, D]``, bias ``[L, L]`` additive mask. Returns ``[N, L, D]``."""
        q, k, v = self.attention.split(self.attention_norm(x))
        x = x + self.attention.merge(masked_attention(q, k, v, bias))
        return x + self.mlp(self.mlp_norm(x))

    def weights(self) -> LayerWeights:
        return layer_weights(self.attention_norm, self.attention, self.mlp_norm, self.mlp)


class DepthTransformer(nn.Module):
    """Hidden state of a frame → logits of its codes. :mod:`streamsep.lm.generate` emits them step by step."""

    def __init__(self, config: LMConfig, codec: CodecConfig, tables: CodeTables) -> None:
        super().__init__()
        stems, dim, width = len(STEMS), config.depth_dim, codec.code_dim
        self.order, self.semantic, self.codebooks = config.order, codec.semantic_codebooks, codec.codebooks
        self.tables = tables
        self.hidden = nn.Linear(config.dim, dim)
        self.guide = GuideProjection(dim)
        self.place = nn.Parameter(torch.randn(stems, codec.codebooks, dim) * 0.1)
        self.own = nn.Parameter(torch.randn(codec.codebooks, dim, width) / width**0.5)
        self.neighbour = nn.Parameter(torch.randn(2, dim, width) / width**0.5)  # semantic, acoustic
        self.layers = nn.ModuleList(DepthBlock(config) for _ in range(config.depth_layers))
        self.norm = RMSNorm(dim)
        self.head = nn.Parameter(torch.randn(self.semantic, codec.codebook_size, dim) * 0.3 / dim**0.5)
        self.head_bias = nn.Parameter(torch.zeros(codec.codebooks, codec.codebook_size))
        # Acoustic heads are tied to the code vectors through a small matrix: they are many and matter less.
        self.tied_head = nn.Parameter(torch.randn(codec.acoustic_codebooks, width, dim) * 0.08 / dim**0.5)
        self._plans: dict[tuple[int, torch.device], Plan] = {}
        self._weights: tuple[tuple[object, ...], DepthWeights] | None = None
        self.entry_weights = Held(self, self._entry)

    @property
    def blocks(self) -> list[DepthBlock]:
        return cast("list[DepthBlock]", list(self.layers))

    def plan(self, codebooks: int, device: torch.device) -> Plan:
        """The order's masks and steps for the first ``codebooks`` codebooks (constants, made once)."""
        key = (codebooks, device)
        if key not in self._plans:
            with torch.inference_mode(False):  # the masks serve training too
                self._plans[key] = Plan.make(self.order, self.semantic, codebooks, device)
        return self._plans[key]

    def frame(self, h: Tensor, guide: Tensor | None) -> Tensor:
        """What all places of a stem share: h ``[N, D]``, guide ``[N, S, 240]`` → ``[N, S, depth_dim]``."""
        base = self.hidden(h).unsqueeze(-2)
        return base.expand(-1, len(STEMS), -1) if guide is None else base + self.guide(guide)

    def forward(self, h: Tensor, guide: Tensor | None, codes: Tensor) -> Tensor:
        """Teacher-forced logits of all places in one pass.

        Args:
            h: ``[N, D]``.
            guide: ``[N, S, 240]`` envelope estimates, or None.
            codes: the frame's codes as later codes see them: ``[N, S, q]`` int64, or vectors ``[N, S, q, C]`` such as
                posterior means; q is the number of semantic codebooks or of all.

        Returns logits ``[N, S, q, K]``.
        """
        vectors = codes if codes.is_floating_point() else self.tables.lookup(codes)
        stems, codebooks = vectors.shape[1:3]
        own, neighbour = self._latents(vectors)
        x = self.frame(h, guide).unsqueeze(2) + self.place[:, :codebooks]
        x = x + torch.einsum("nsqc,qdc->nsqd", own, self.own[:codebooks])
        x = x + self._neighbour_rows(neighbour)
        x = x.flatten(1, 2)
        bias = self.plan(codebooks, h.device).bias
        for layer in self.blocks:
            x = layer(x, bias)
        rows = self.norm(x).unflatten(1, (stems, codebooks)).permute(2, 0, 1, 3)
        return depth_logits(self.heads(), rows, 0).permute(1, 2, 0, 3)

    def _entry(self) -> EntryWeights:
        guide = self.guide
        return EntryWeights(self.hidden.weight, self.hidden.bias, guide.down, guide.bias, guide.up, self.place)

    def heads(self) -> DepthHeads:
        tied, scale = self.tables.vectors[self.semantic :], self.tables.scale[1:]
        return DepthHeads(self.norm.weight, self.head, self.tied_head, tied, scale, self.head_bias)

    def weights(self) -> DepthWeights:
        """The weights as the kernels want them: what a place is fed is its own latent, then its neighbour's.

        Gathered once, and again after a weight that is copied here has changed or tensors were replaced; in training
        every time, since a fused optimizer changes weights without counting it.
        """
        if self.training:
            self._weights = None
            return self._gather()
        own, neighbour, tables = self.own, self.neighbour, self.tables.vectors
        state = (own.data_ptr(), neighbour.data_ptr(), tables.data_ptr(), _version(own), _version(neighbour))
        if self._weights is None or self._weights[0] != state:
            self._weights = state, self._gather()
        return self._weights[1]

    def _gather(self) -> DepthWeights:
        path = (torch.arange(self.codebooks, device=self.own.device) >= self.semantic).long()
        feed = torch.cat((self.own, self.neighbour[path]), dim=-1)
        return DepthWeights(feed, tuple(block.weights() for block in self.blocks), self.heads())

    def _latents(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """``[N, S, q, C]`` code vectors → own latent before and neighbour's latent at every place, same shape."""
        paths = [path * scale for path, scale in zip(self._split(vectors), self.tables.scale, strict=False)]
        sums = [path.cumsum(2) for path in paths]
        first = torch.zeros_like(vectors[:, :, :1])
        own = torch.cat((first, *sums), dim=2)[:, :, :-1]  # the acoustic path starts from the whole semantic latent
        if self.order == "parallel":
            return own, torch.zeros_like(own)
        if self.order == "sequential":
            sums = [total[:, :, -1:].expand_as(total) for total in sums]
        reach = torch.cat(sums, dim=2)
        return own, torch.cat((torch.zeros_like(reach[:, :1]), reach[:, :-1]), dim=1)

    def _neighbour_rows(self, latent: Tensor) -> Tensor:
        parts = [path @ weight.T for path, weight in zip(self._split(latent), self.neighbour, strict=False)]
        return torch.cat(parts, dim=2)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Cut axis 2 (codebooks) into the semantic and, when there, the acoustic path."""
        if x.shape[2] <= self.semantic:
            return (x,)
        return x[:, :, : self.semantic], x[:, :, self.semantic :]
