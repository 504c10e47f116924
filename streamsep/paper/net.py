"""A paper model: codec, mixture embedding and language model; mixture columns in, masks or columns of the stems out.

    mixture ─► mel bands ─► Conformer ─► [mixture | vocals | drums | bass | other] ─► codes ─► envelopes ─► masks
                                                    language model                        └──► the codec's own sound

Knows spectra and codes; knows no files and no samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamsep.codec.envelope import ENVELOPE_FEATURES, FLOOR
from streamsep.codec.model import Codec
from streamsep.codec.semantic import FrameNet
from streamsep.condition.level import LevelTracker
from streamsep.lm.sampling import GREEDY, Decoding
from streamsep.model.fuse import token_masks
from streamsep.model.trunk import frame_power
from streamsep.paper.condition import MixtureEmbedding
from streamsep.paper.config import PaperModelConfig
from streamsep.paper.generate import Draw, generate
from streamsep.paper.lm import TrackLM


class PaperNet(nn.Module):
    """Separates whole segments. The codec is taken as it is: its code vectors are copied into the language model."""

    def __init__(self, config: PaperModelConfig, codec: Codec | None = None) -> None:
        super().__init__()
        self.config = config
        self.codec = Codec(config.codec) if codec is None else codec
        self.books = config.paper.books(config.codec)
        self.level = LevelTracker()
        self.embedding = MixtureEmbedding(config.paper)
        self.lm = TrackLM(config.paper, self.codec.vectors[self.books])
        semantic = config.codec.semantic_codebooks
        split = semantic if config.paper.streams == "both" else self.lm.tables.shape[0]
        self._paths = (slice(0, split), slice(split, None))
        # Semantic codes have a decoder to envelopes in the codec; where acoustic ones are heard, too, it is learned.
        self.readout: FrameNet | None = None
        if config.paper.streams != "semantic":
            paths = 2 if config.paper.streams == "both" else 1
            width = paths * config.codec.code_dim
            self.readout = FrameNet(
                width, config.codec.dim, ENVELOPE_FEATURES, config.codec.semantic_layers, config.codec.ff_mult
            )
            nn.init.constant_(self.readout.straight.bias, 0.5 * FLOOR)

    def hear(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Mixture columns [B, T, 2, 2, 961] complex → level [B, T] and embedding [B, T, D]."""
        level = self.level(frame_power(spectrum))
        return level, self.embedding(spectrum, level)

    @torch.no_grad()
    def encode(self, stems: Tensor, level: Tensor) -> Tensor:
        """True stems' columns [B, T, S, 2, 2, 961] complex, the mixture's level [B, T] → codes [B, T, S, q] of the
        codec, from its first codebook to the last that is written; those written are ``[..., books]``.
        """
        batch, _, count = stems.shape[:3]
        folded = stems.transpose(1, 2).flatten(0, 1)
        codes = self.codec.encode(folded, level.repeat_interleave(count, 0), self.books.stop)
        return codes.unflatten(0, (batch, count)).transpose(1, 2)

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes [..., Q] → their vectors [..., Q, C]."""
        return torch.stack([self.lm.tables[q][codes[..., q]] for q in range(codes.shape[-1])], -2)

    def means(self, logits: Tensor) -> Tensor:
        """Logits [..., Q, K] → code vectors weighted by their probabilities [..., Q, C]."""
        return torch.einsum("...qk,qkc->...qc", logits.softmax(-1), self.lm.tables)

    def envelopes(self, vectors: Tensor) -> Tensor:
        """Code vectors [..., Q, C], or means of some → log envelopes [..., 240]."""
        if self.readout is None:
            return self.codec.semantic.decode(vectors.sum(-2))
        parts = [vectors[..., path, :].sum(-2) for path in self._paths if vectors[..., path, :].shape[-2]]
        return self.readout(torch.cat(parts, -1))

    def log_masks(self, vectors: Tensor) -> Tensor:
        """Code vectors [..., S, Q, C] → log masks [..., S, 2 sides, 2 subframes, 120], their exp sums to one over S."""
        return token_masks(self.envelopes(vectors))

    @torch.no_grad()
    def separate(
        self, spectrum: Tensor, decoding: Decoding = GREEDY, draw: Draw | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Segments' mixture columns [B, T, 2, 2, 961] → codes [B, T, S, Q], code vectors that stems are to be made from
        [B, T, S, Q, C], and level [B, T].

        Greedy, the vectors are what the model held possible on average; drawn at random, those of the codes drawn.
        """
        level, embedding = self.hear(spectrum)
        found = generate(self.lm, embedding, decoding, draw)
        vectors = found.means if decoding.temperature == 0 else self.vectors(found.codes)
        return found.codes, vectors, level
