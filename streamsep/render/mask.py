"""Mask renderer: stems as gains on the mixture's own spectrum, which are made of masks.

Stems sum to the delayed mixture, because the gains sum to the identity over stems, what is added to zero, and analysis
followed by synthesis is the identity, too. Knows masks and columns; nothing of how masks came about.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kernels.reference.mask_render import mask_render
from kernels.registry import resolve
from streamsep.codec.stft import ISTFT
from streamsep.condition.bands import band_of_bin
from streamsep.config import STEMS
from streamsep.render.gains import StemGains
from streamsep.streaming import State, StreamModule


def to_bins(masks: Tensor) -> Tensor:
    """Of bands [..., 120] → of bins [..., 961]."""
    return masks.index_select(-1, band_of_bin(masks.device))


class MaskRenderer(StreamModule):
    """Masks and mixture columns of a frame → 1920 samples a stem, 960 samples behind the frame."""

    delay = 960  # samples, of the overlap-add

    def __init__(self, sets: int = 1) -> None:
        """``sets`` of stems, each of which sums to the mixture."""
        super().__init__()
        self.gains = StemGains(sets)
        self.istft = ISTFT((sets * len(STEMS), 2))
        self.render: Callable[..., Tensor] = mask_render  # another implementation may be put in its place

    def select_kernels(self, device: str = "cpu", backend: str = "auto") -> tuple[str, ...]:
        """Choose the kernels that ``step`` runs on (plain torch until then) and return their names.

        Raises ValueError for a backend that does not serve the device.
        """
        chosen = resolve("mask_render", device, backend)
        self.render = chosen.function
        return *self.gains.select_kernels(device, backend), str(chosen)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.nest("gains", self.gains.init_state(slots, device))
        state.nest("istft", self.istft.init_state(slots, device))
        return state

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, masks: Tensor, spectrum: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """One frame.

        Args:
            masks: [B, S, 2 sides, 2 subframes, 120], set after set; they sum to one over the stems of each.
            spectrum: [B, 2 sides, 2 subframes, 961] complex mid/side columns of the same frame.

        Returns:
            [B, S, 2 channels, 1920] left/right.
        """
        gains, added = self.gains.step(masks, spectrum, state.child("gains"), active)
        tail = state.child("istft")["tail"]
        return self.render(gains, spectrum, added, band_of_bin(masks.device), self.istft.window, tail, active)
