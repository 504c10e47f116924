"""Trunk: level tracker, condition encoder and guide head. Separates on its own; the language model builds on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.reference.track_level import track_level
from streamsep.condition.encoder import ConditionEncoder
from streamsep.condition.guide import GuideHead
from streamsep.condition.level import FLOOR, LevelTracker
from streamsep.config import BINS, ConditionConfig
from streamsep.streaming import State, StreamModule


def frame_power(spectrum: Tensor) -> Tensor:
    """Mean square of the windowed samples behind [..., 2 sides, 2 subframes, 961] complex columns → [...]."""
    return torch.view_as_real(spectrum).square().sum((-1, -2, -3, -4)) / BINS**2


@dataclass(frozen=True)
class TrunkOutput:
    """``tokens`` [B, N, T, dim], ``level`` [B, T], ``logits`` [B, T, S, 2, 2, 120]; a step gives them without T."""

    tokens: Tensor
    level: Tensor
    logits: Tensor


class Trunk(StreamModule):
    """Mixture spectrum → guide mask logits for frame t-k, and the tokens the language model reads."""

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        self.level = LevelTracker()
        self.track_level: Callable[..., Tensor] = track_level  # another implementation may be put in its place
        self.encoder = ConditionEncoder(cfg)
        self.guide = GuideHead(cfg)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.nest("level", self.level.init_state(slots, device))
        state.nest("encoder", self.encoder.init_state(slots, device))
        return state

    def forward(self, spectrum: Tensor, lookahead: Tensor) -> TrunkOutput:
        """``spectrum`` [B, T, 2, 2, 961] complex mid/side, ``lookahead`` [B] int64 index into ``LOOKAHEADS``."""
        level = self.level(frame_power(spectrum))
        tokens, target = self.encoder(spectrum, level, lookahead)
        b, _, t, _ = tokens.shape
        rows = (x.transpose(1, 2).flatten(0, 1) for x in (tokens, target))
        return TrunkOutput(tokens, level, self.guide(*rows).unflatten(0, (b, t)))

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, spectrum: Tensor, lookahead: Tensor, state: State, active: Tensor | None = None
    ) -> TrunkOutput:
        """``spectrum`` [B, 2, 2, 961] complex → the same for one frame."""
        level = self.hear(spectrum, state, active)
        tokens, target = self.encoder.step(spectrum, level, lookahead, state.child("encoder"), active)
        return TrunkOutput(tokens, level, self.guide.step(tokens, target))

    def hear(self, spectrum: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """Only the level [B] of one frame; the encoder stands still."""
        own = state.child("level")
        return self.track_level(spectrum, self.level.decay, own["power"], own["weight"], active, FLOOR)
