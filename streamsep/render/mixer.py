"""Mixer: stems and gains → one sound. Knows gains over time; knows nothing of how stems came about."""

from __future__ import annotations

import torch
from torch import Tensor

from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.streaming import State, StreamModule

SMOOTHING = 0.005  # seconds in which a gain covers 63 % of its way: no click, yet at once to the ear


class Mixer(StreamModule):
    """Sum of the stems, each times a gain that follows its target through a one-pole filter, sample by sample.

    With every gain at 1, where it starts, the output is the plain sum of the stems.
    """

    def __init__(self, rate: int = SAMPLE_RATE, seconds: float = SMOOTHING) -> None:
        super().__init__()
        self.slowness = float(torch.exp(torch.tensor(-1.0 / (rate * seconds), dtype=torch.float64)))

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        """``gain`` [slots, S]: where the gains are now."""
        state = State(slots)
        state.add("gain", len(STEMS), device=device, fresh=1)
        return state

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, stems: Tensor, gains: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """``stems`` [B, S, channels, n], target ``gains`` [B, S] (linear, ≥ 0) → [B, channels, n]; any n ≥ 1."""
        lag = torch.arange(1, stems.shape[-1] + 1, device=stems.device, dtype=torch.float64)
        left = (self.slowness**lag).to(stems.dtype)  # how much of the way is left after each sample
        path = gains.unsqueeze(-1) + (state["gain"] - gains).unsqueeze(-1) * left
        state.put("gain", path[..., -1], active)
        return (stems * path.unsqueeze(2)).sum(1)
