"""The codec: semantic and acoustic tokens of one stem, and its columns back. A stem axis is folded into the batch.

        ┌ teacher ── semantic path ── 4 tokens ─┐ envelopes alone are enough for masks
columns ┤                                       ├ decoder ── columns
        └──────────  acoustic path ── 4 tokens ─┘ optional: what a waveform needs besides
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from streamsep.codec.acoustic import AcousticPath
from streamsep.codec.decoder import Decoder
from streamsep.codec.semantic import SemanticPath
from streamsep.codec.teacher import EnvelopeTeacher, Teacher
from streamsep.config import CodecConfig
from streamsep.streaming import State, StreamModule


class Codec(StreamModule):
    """Dual-path codec. Codes are ordered as in :attr:`vectors`: semantic codebooks first.

    ``teacher`` says what the semantic tokens describe; without one, the built-in :class:`EnvelopeTeacher`.
    """

    def __init__(self, cfg: CodecConfig, teacher: Teacher | None = None) -> None:
        super().__init__()
        self.cfg = cfg
        self.teacher = teacher if teacher is not None else cast(Teacher, EnvelopeTeacher())
        self.semantic = SemanticPath(cfg, self.teacher.features_dim)
        self.acoustic = AcousticPath(cfg)
        self.decoder = Decoder(cfg)

    @property
    def vectors(self) -> Tensor:
        """[Q, K, C] code vectors."""
        return torch.cat([self.semantic.quantizer.vectors, self.acoustic.quantizer.vectors])

    def perplexity(self) -> Tensor:
        """[Q] entries in use of each codebook."""
        return torch.cat([self.semantic.quantizer.perplexity(), self.acoustic.quantizer.perplexity()])

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        """State of encoder and decoder for ``slots`` stems."""
        state = State(slots)
        for name, part in (("teacher", self.teacher), ("acoustic", self.acoustic), ("decoder", self.decoder)):
            state.nest(name, part.init_state(slots, device))
        return state

    def encode(self, spectrum: Tensor, level: Tensor, codebooks: int | None = None) -> Tensor:
        """Columns [B, T, 2, 2, 961] complex, mixture's ``level`` [B, T] → codes [B, T, q] int64.

        ``codebooks`` of them, all when None; the acoustic encoder runs only when some are acoustic.
        """
        semantic, acoustic = self._counts(codebooks)
        codes = self.semantic.encode(self.teacher(spectrum, level), semantic)
        if not acoustic:
            return codes
        latents = self.acoustic.latents(spectrum, level)
        return torch.cat([codes, self.acoustic.quantizer.encode(latents, acoustic)], -1)

    def encode_step(
        self,
        spectrum: Tensor,
        level: Tensor,
        state: State,
        active: Tensor | None = None,
        codebooks: int | None = None,
    ) -> Tensor:
        """One frame of :meth:`encode`: [B, 2, 2, 961] complex, [B] → [B, q]. Keep ``codebooks`` the same throughout."""
        semantic, acoustic = self._counts(codebooks)
        features = self.teacher.step(spectrum, level, state.child("teacher"), active)
        codes = self.semantic.encode(features, semantic)
        if not acoustic:
            return codes
        latent = self.acoustic.step(spectrum, level, state.child("acoustic"), active)
        return torch.cat([codes, self.acoustic.quantizer.encode(latent, acoustic)], -1)

    def decode(self, codes: Tensor, level: Tensor) -> Tensor:
        """Codes [B, T, q], mixture's ``level`` [B, T] → columns [B, T, 2, 2, 961] complex."""
        return self.decode_latents(*self.latents(codes), level)

    def decode_step(self, codes: Tensor, level: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """One frame of :meth:`decode`: [B, q], [B] → [B, 2, 2, 961] complex."""
        return self.decode_latents_step(*self.latents(codes), level, state, active)

    def latents(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [..., q] → semantic and acoustic latents [..., C]; zeros where no acoustic codes are given."""
        books = self.cfg.semantic_codebooks
        semantic = self.semantic.quantizer.decode(codes[..., :books])
        if codes.shape[-1] <= books:
            return semantic, torch.zeros_like(semantic)
        return semantic, self.acoustic.quantizer.decode(codes[..., books:])

    def decode_latents(self, semantic: Tensor, acoustic: Tensor | None, level: Tensor) -> Tensor:
        """Latents [B, T, C] (sums of code vectors, or of their means), ``level`` [B, T] → [B, T, 2, 2, 961] complex."""
        acoustic = torch.zeros_like(semantic) if acoustic is None else acoustic
        return self.decoder(semantic, acoustic, self.semantic.decode(semantic), level)

    def decode_latents_step(
        self, semantic: Tensor, acoustic: Tensor | None, level: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """One frame of :meth:`decode_latents`: [B, C], [B] → [B, 2, 2, 961] complex."""
        acoustic = torch.zeros_like(semantic) if acoustic is None else acoustic
        env = self.semantic.decode_step(semantic)
        return self.decoder.step(semantic, acoustic, env, level, state.child("decoder"), active)

    def forward(self, spectrum: Tensor, level: Tensor) -> Tensor:
        """Columns [B, T, 2, 2, 961] complex → what remains of them after tokens."""
        return self.decode(self.encode(spectrum, level), level)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, spectrum: Tensor, level: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """One frame of :meth:`forward`: [B, 2, 2, 961] complex, ``level`` [B]."""
        return self.decode_step(self.encode_step(spectrum, level, state, active), level, state, active)

    def _counts(self, codebooks: int | None) -> tuple[int, int]:
        """Semantic and acoustic codebooks among the first ``codebooks``. Raises ValueError for an impossible number."""
        count = self.cfg.codebooks if codebooks is None else codebooks
        if not 1 <= count <= self.cfg.codebooks:
            raise ValueError(f"the codec has 1 to {self.cfg.codebooks} codebooks, not {count}")
        semantic = min(count, self.cfg.semantic_codebooks)
        return semantic, count - semantic
