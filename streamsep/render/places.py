"""Where stems were heard to stand, and the gains between mid and side that follow from it and from masks. Knows bands.

Gains sum to the identity over the stems of a set, since its masks sum to one: what is rendered sums to the mixture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kernels.reference.spatial_gains import spatial_gains
from kernels.registry import resolve
from streamsep.condition.bands import band_edges
from streamsep.config import ENVELOPES, HOP, STEMS
from streamsep.streaming import State, StreamModule

_DECAY = 0.99  # a column of 20 ms: what is learned is of the last two seconds, or a new song would suffer


class Places(StreamModule):
    """Masks and columns ``hop`` samples apart → gains; ``sets`` of stems, each of which sums to the mixture."""

    def __init__(self, sets: int = 1, hop: int = HOP) -> None:
        super().__init__()
        self.sets, self.decay = sets, _DECAY ** (hop / HOP)
        self.gains: Callable[..., Tensor] = spatial_gains  # another implementation may be put in its place

    def select_kernels(self, device: str = "cpu", backend: str = "auto") -> tuple[str, ...]:
        """Choose the kernel that ``step`` runs on (plain torch until then) and return its name.

        Raises ValueError for a backend that does not serve the device.
        """
        chosen = resolve("spatial_gains", device, backend)
        self.gains = chosen.function
        return (str(chosen),)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("heard", self.sets, len(STEMS), 3, ENVELOPES, device=device)
        return state

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, masks: Tensor, spectrum: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """``masks`` [B, S, 2 sides, columns, 120], set after set, and ``spectrum`` [B, 2 sides, columns, 961] complex →
        gains [B, S, 2 sides of the stem, 2 of the mixture, columns, 120].
        """
        sets, edges = masks.unflatten(1, (self.sets, -1)), band_edges(masks.device)
        return self.gains(sets, spectrum, edges, self.decay, state["heard"], active).flatten(1, 2)
