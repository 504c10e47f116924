"""Hops of 10 ms of neighbouring slots, under masks that were predicted with the frame before. Knows parts and state."""

from __future__ import annotations

import torch
from torch import Tensor

from streamsep.engine.parts import Parts
from streamsep.engine.slots import Slots
from streamsep.render.predictive import hop_masks


class HopStep:
    """The hop of the slots ``first`` … ``stop - 1``; R the rows of the settings."""

    def __init__(self, parts: Parts, slots: Slots) -> None:
        self._parts, self._state = parts, slots.state

    def __call__(self, first: int, stop: int, block: Tensor, hop: Tensor, active: Tensor | None) -> Tensor:
        """``block`` [B, 2, 480] left/right and ``hop`` [B] int64, which of its frame's it is → [B, R, 2, 480]."""
        ahead = hop_masks(self._state.child("ahead").narrow(first, stop)["masks"])
        masks = ahead[torch.arange(stop - first, device=hop.device), hop]
        return self._parts.hop.step(masks, block, self._state.child("hop").narrow(first, stop), active)

    def predict(self, first: int, stop: int, masks: Tensor, active: Tensor | None) -> None:
        """``masks`` [B, R, 2, 2, 120] of a frame are those of the next one's hops, where ``active`` [B] bool."""
        self._state.child("ahead").narrow(first, stop).put("masks", masks, active)
