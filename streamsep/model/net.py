"""The whole net as one streaming module: mixture spectrum in; codes, latents and masks of all stems out.

    spectrum ─► trunk ─► guide masks ────────────────► fuse ─► masks      of frame t - k
                  │           │ envelopes               ▲
                  └─► pool ─► language model ─► latent ─┘                 codes, entropy

Knows spectra, codes and masks; knows nothing of samples: analysis, rendering and rates are the engine's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference.fuse_masks import fuse_masks
from kernels.reference.guide_envelopes import guide_envelopes as guide_envelopes_step
from kernels.reference.posterior_mean import posterior_mean
from kernels.reference.recall import recall
from kernels.registry import resolve
from streamsep.choices import FUSED, GUIDE
from streamsep.codec.model import Codec
from streamsep.condition.bands import band_edges
from streamsep.condition.encoder import MAX_LOOKAHEAD, ConditionPool, lookahead_frames
from streamsep.condition.guide import log_masks
from streamsep.condition.level import FLOOR
from streamsep.config import BINS, ENVELOPES, LOOKAHEADS, STEMS, SUBFRAMES, ModelConfig
from streamsep.lm import GREEDY, Decoding, LanguageModel, LMLogits, LMOutput
from streamsep.lm.pages import Pages
from streamsep.model.fuse import Fuse, guide_envelopes, token_masks
from streamsep.model.trunk import Trunk, TrunkOutput
from streamsep.streaming import State, StreamModule

_log = logging.getLogger(__name__)
DRY = "dry"  # of ``Net.skip``: everything to `other`


@dataclass(frozen=True)
class NetOutput:
    """What one step emits for B slots, about frame t - k (for k = -1 about frame t + 1).

    ``masks``: decoding → [B, S, 2 sides, 2 subframes, 120], summing to one over S. ``spectrum`` [B, 2, 2, 961] and
    ``level`` [B] are of that frame; for k = -1, which has not been heard, of the frame before. ``lm`` is None when the
    language model was left out.
    """

    masks: dict[str, Tensor]
    spectrum: Tensor
    level: Tensor
    lm: LMOutput | None


@dataclass(frozen=True)
class NetLogits:
    """What training sees, by step: ``spectrum`` [B, T, 2, 2, 961], ``level`` [B, T] and ``guide`` [B, T, S, 240] are of
    the frame that each step emits.
    """

    trunk: TrunkOutput
    spectrum: Tensor
    level: Tensor
    guide: Tensor
    lm: LMLogits


def delay(x: Tensor, lookahead: Tensor, before: float = 0.0) -> Tensor:
    """Frames by step: ``x`` [B, T, ...] moved max(k, 0) frames later; ``before`` stands before the beginning."""
    step = torch.arange(x.shape[1], device=x.device)
    frame = step - lookahead_frames(lookahead).clamp(min=0).unsqueeze(1)
    row = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    early = (frame < 0).view(*frame.shape, *[1] * (x.dim() - 2))
    return x[row, frame.clamp(min=0)].masked_fill(early, before)


class Net(StreamModule):
    """Trunk, language model, codec and fusion, one step a frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = Codec(config.codec)
        self.trunk = Trunk(config.condition)
        self.pool = ConditionPool(config.condition)
        self.lm = LanguageModel(config)
        self.fuse = Fuse()
        self.backend: str | None = None  # of the kernels, for whoever stands behind the net; None: plain torch
        self.recall: Callable[..., tuple[Tensor, Tensor]] = recall
        self.guide_envelopes: Callable[..., tuple[Tensor, Tensor]] = guide_envelopes_step
        self.fuse_masks: Callable[..., Tensor] = fuse_masks
        self.share_tables()

    def share_tables(self) -> None:
        """Copy the codec's code vectors into the language model; again after the codec has changed."""
        self.lm.set_tables(self.codec.vectors.detach())

    def select_kernels(self, device: str = "cpu", backend: str = "auto") -> tuple[str, ...]:
        """Choose the kernels that ``step`` runs on (plain torch until then) and return their names.

        Raises ValueError for a backend that does not serve the device.
        """
        self.backend = backend
        encoder = self.trunk.encoder
        owners = {
            "track_level": self.trunk,
            "band_embedding": encoder,
            "group_linear": encoder,
            "conformer_step": encoder.conformer,
            "guide_head": self.trunk.guide,
            "recall": self,
            "guide_envelopes": self,
            "frame_net": self.codec.semantic,
            "fuse_masks": self,
        }
        own: list[str] = []
        for op, owner in owners.items():
            found = resolve(op, device, backend)
            own.append(str(found))
            setattr(owner, op, found.function)
        chosen = *own, *self.lm.select_kernels(device, backend)
        _log.info("kernels on %s: %s", device, ", ".join(chosen))
        return chosen

    def init_state(self, slots: int, device: torch.device | str = "cpu", pages: Pages | None = None) -> State:
        """``spectra`` and ``levels`` of the last frames, newest first; children ``trunk`` and ``lm``; the language
        model's keys and values lie in ``pages``, if given.
        """
        state = State(slots)
        state.add("spectra", MAX_LOOKAHEAD, 2, SUBFRAMES, BINS, dtype=torch.complex64, device=device)
        state.add("levels", MAX_LOOKAHEAD, device=device, fresh=FLOOR)
        state.nest("trunk", self.trunk.init_state(slots, device))
        state.nest("lm", self.lm.init_state(slots, device, pages))
        return state

    def forward(
        self,
        spectrum: Tensor,
        lookahead: Tensor,
        past: Tensor,
        present: Tensor,
        codes: Tensor,
        select: Tensor | None = None,
    ) -> NetLogits:
        """Whole sequences, the language model teacher-forced.

        Args:
            spectrum: [B, T, 2, 2, 961] complex mid/side columns of the mixture.
            lookahead: [B] int64 index into ``LOOKAHEADS``.
            past, present, codes, select: see ``LanguageModel.forward``; all by step (``streamsep.lm.lookahead``).
        """
        trunk = self.trunk(spectrum, lookahead)
        emitted, level = delay(spectrum, lookahead), delay(trunk.level, lookahead, FLOOR)
        guide = guide_envelopes(log_masks(trunk.logits), emitted, level)
        condition = self.pool(trunk.tokens.transpose(1, 2))
        lm = self.lm(condition, guide, past, present, lookahead, codes, select)
        return NetLogits(trunk, emitted, level, guide, lm)

    def posterior(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Code logits [..., S, q, K] → semantic latent [..., S, C] (posterior mean) and mean entropy [..., S], nats.

        Differentiable; what ``LanguageModel.step`` gives as ``latent`` and ``entropy``.
        """
        return posterior_mean(logits, self.lm.tables.vectors[: self.lm.tables.semantic])

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        spectrum: Tensor,
        lookahead: Tensor,
        state: State,
        active: Tensor | None = None,
        *,
        decodes: Sequence[str] = (FUSED,),
        decoding: Decoding = GREEDY,
        seed: Tensor | None = None,
        forced: Tensor | None = None,
        tokens: bool = False,
    ) -> NetOutput:
        """One frame.

        Args:
            spectrum: [B, 2, 2, 961] complex mid/side columns of the newest frame.
            lookahead: [B] int64 index into ``LOOKAHEADS``; constant over a stream's life.
            active: [B] bool, slots that advance; all when None.
            decodes: which masks are wanted, of ``DECODES``. With only ``guide`` the language model does not run and its
                state stands still: the fallback under load.
            decoding, seed, forced: see ``LanguageModel.step``.
            tokens: run the language model even when no mask needs it.
        """
        trunk = self.trunk.step(spectrum, lookahead, state.child("trunk"), active)
        emitted, level = self._recall(spectrum, trunk.level, lookahead, state, active)
        guide, hint = self.guide_envelopes(trunk.logits, emitted, level, band_edges(emitted.device))
        lm = None
        if tokens or any(name != GUIDE for name in decodes):
            condition = self.pool(trunk.tokens)
            lm = self.lm.step(
                condition, hint, lookahead, state.child("lm"), active, decoding=decoding, seed=seed, forced=forced
            )
        masks = {name: self._masks(name, trunk.logits, guide, lm) for name in decodes}
        return NetOutput(masks, emitted, level, lm)

    def skip(self, spectrum: Tensor, lookahead: Tensor, state: State, active: Tensor | None = None) -> NetOutput:
        """``step`` for a frame that there is no time for: it is heard and not separated, trunk and language model stand
        still. The masks, by the name ``dry``, give everything to `other`.
        """
        level = self.trunk.hear(spectrum, state.child("trunk"), active)
        emitted, level = self._recall(spectrum, level, lookahead, state, active)
        masks = emitted.new_zeros(len(spectrum), len(STEMS), 2, SUBFRAMES, ENVELOPES, dtype=torch.float32)
        masks[:, STEMS.index("other")] = 1
        return NetOutput({DRY: masks}, emitted, level, None)

    def _masks(self, name: str, logits: Tensor, guide: Tensor, lm: LMOutput | None) -> Tensor:
        if name == GUIDE:
            return guide
        assert lm is not None
        if name == "hard":
            return token_masks(self.codec.semantic.decode_step(self.lm.tables.latent(lm.codes))).exp()
        envelopes = self.codec.semantic.decode_step(lm.latent)
        if name == "soft":
            return token_masks(envelopes).exp()
        return self.fuse_masks(self.fuse.weights(), logits, envelopes, lm.entropy)

    def _recall(
        self, spectrum: Tensor, level: Tensor, lookahead: Tensor, state: State, active: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Spectrum and level of frame t - k, out of what is kept, and keep the newest."""
        return self.recall(spectrum, level, lookahead, min(LOOKAHEADS), state["spectra"], state["levels"], active)
