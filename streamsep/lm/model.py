"""Token language model: condition and guide → codes of all stems, frame by frame. Knows codes, not sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference.temporal_entry import TemporalEntryWeights, temporal_entry
from kernels.registry import resolve
from streamsep.config import LOOKAHEADS, STEMS, ModelConfig
from streamsep.lm.depth import DepthTransformer
from streamsep.lm.embedding import CodeTables, HistoryEmbedding
from streamsep.lm.generate import Kernels, generate
from streamsep.lm.pages import Pages
from streamsep.lm.sampling import GREEDY, Decoding
from streamsep.lm.temporal import TemporalTransformer
from streamsep.streaming import State, StreamModule
from streamsep.streaming.held import Held


@dataclass(frozen=True)
class LMLogits:
    """What training sees."""

    logits: Tensor  # [N, S, q, K]; N is B·T, or the number of selected frames
    h: Tensor  # [B, T, D]


@dataclass(frozen=True)
class LMOutput:
    """What one step emits for B slots."""

    codes: Tensor  # [B, S, q] int64
    latent: Tensor  # [B, S, C]: posterior mean of the semantic code vectors' sum
    entropy: Tensor  # [B, S]: mean over the semantic codebooks, nats
    logits: Tensor  # [B, S, q, K]
    h: Tensor  # [B, D]


class LanguageModel(StreamModule):
    """Temporal transformer over frames, depth transformer over the codes of a frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tables = CodeTables(config.codec)
        self.embedding = HistoryEmbedding(config.codec, config.lm.dim)
        self.temporal = TemporalTransformer(config.lm, config.condition.out_dim)
        self.depth = DepthTransformer(config.lm, config.codec, self.tables)
        # Other implementations may be put in their place.
        self.temporal_entry: Callable[..., tuple[Tensor, Tensor, Tensor]] = temporal_entry
        self.kernels = Kernels()
        self._entry_weights = Held(self, self._entry)

    def set_tables(self, vectors: Tensor) -> None:
        """Copy the codec's code vectors ``[Q, K, C]`` in, semantic codebooks first."""
        self.tables.set_tables(vectors)

    def select_kernels(self, device: str = "cpu", backend: str = "auto") -> tuple[str, ...]:
        """Choose the kernels that ``step`` runs on (plain torch until then) and return their names.

        Raises ValueError for a backend that does not serve the device.
        """
        entry, temporal, paged, *depth = (
            resolve(op, device, backend)
            for op in ("temporal_entry", "temporal_step", "paged_step", "depth_entry", "depth_decode", "posterior_mean")
        )
        self.temporal_entry = entry.function
        self.temporal.layer_step, self.temporal.paged_step = temporal.function, paged.function
        self.kernels = Kernels(*(each.function for each in depth))
        return tuple(map(str, (entry, temporal, paged, *depth)))

    def forward(
        self,
        c: Tensor,
        guide: Tensor | None,
        history: Tensor,
        present: Tensor,
        lookahead: Tensor,
        codes: Tensor,
        select: Tensor | None = None,
    ) -> LMLogits:
        """Teacher-forced logits.

        Args:
            c: ``[B, T, condition_dim]``.
            guide: ``[B, T, S, 240]`` envelope estimates of the frame each step emits, or None.
            history: what each step remembers of the step before: ``[B, T, S, q]`` int64 codes or ``[B, T, S, C]`` float
                latents (see :func:`streamsep.lm.lookahead.history`).
            present: ``[B, T, S]`` bool, where there is history.
            lookahead: ``[B]`` int64, index into ``LOOKAHEADS``.
            codes: ``[B, T, S, q]`` int64 codes of the frame each step emits, as later codes of the frame see them; q
                is the number of semantic codebooks or of all.
            select: ``[N]`` int64 indices into B·T: frames the depth transformer runs on; all when None.
        """
        latent = history if history.is_floating_point() else self.tables.latent(history)
        h = self.temporal(c, self.embed(latent, present), lookahead)
        rows, codes = h.flatten(0, 1), codes.flatten(0, 1)
        guide = None if guide is None else guide.flatten(0, 1)
        if select is not None:
            rows, codes = rows[select], codes[select]
            guide = None if guide is None else guide[select]
        return LMLogits(self.depth(rows, guide, codes), h)

    def embed(self, latent: Tensor, present: Tensor) -> Tensor:
        """Latents ``[..., S, C]`` in the codec's scale and presence ``[..., S]`` → history embedding ``[..., D]``."""
        return self.embedding(latent * self.tables.scale[0], present)

    def init_state(self, slots: int, device: torch.device | str = "cpu", pages: Pages | None = None) -> State:
        """``latent`` ``[slots, S, C]``: what the last step emitted; child ``temporal``, over ``pages`` if given."""
        state = State(slots)
        state.add("latent", len(STEMS), self.tables.vectors.shape[-1], device=device)
        state.nest("temporal", self.temporal.init_state(slots, device, pages))
        return state

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        c: Tensor,
        guide: Tensor | None,
        lookahead: Tensor,
        state: State,
        active: Tensor | None = None,
        *,
        decoding: Decoding = GREEDY,
        seed: Tensor | None = None,
        forced: Tensor | None = None,
    ) -> LMOutput:
        """Emit the codes of one frame.

        Args:
            c: ``[B, condition_dim]``; guide: ``[B, S, 240]`` or None; lookahead: ``[B]`` int64.
            active: ``[B]`` bool, slots that advance; all when None. Others return anything and keep their state.
            decoding: how codes are chosen and what is fed back.
            seed: ``[B]`` int64, one a stream; needed when ``decoding.temperature > 0``.
            forced: ``[B, S, q]`` codes to emit and feed back instead of the chosen ones.
        """
        temporal = state.child("temporal")
        position, remembers = temporal["position"], decoding.feedback != "none"
        x, cos, sin = self.temporal_entry(
            self._entry_weights(), c, state["latent"], lookahead, position, min(LOOKAHEADS), remembers
        )
        frame = position.clone() if decoding.temperature > 0 else None  # the step moves it on
        h = self.temporal.step_rows(x, cos, sin, temporal, active)
        emitted = generate(self.depth, h, guide, decoding, seed, frame, forced, self.kernels)
        hard = forced is not None or decoding.feedback == "hard"
        state.put("latent", self.tables.latent(emitted.codes) if hard else emitted.latent, active)
        return LMOutput(emitted.codes, emitted.latent, emitted.entropy, emitted.logits, h)

    def _entry(self) -> TemporalEntryWeights:
        temporal, embedding = self.temporal, self.embedding
        return TemporalEntryWeights(
            *(temporal.condition.weight, temporal.condition.bias, temporal.lookahead.weight),
            *(self.tables.scale[:1], embedding.project, embedding.dropped, temporal.frequencies),
        )
