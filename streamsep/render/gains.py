"""What stems' masks become before they are applied: by where stems were heard to stand, and by how a bass goes on.

All of it sums over the stems of a set to what was heard, since masks sum to one. Knows bands; renders no sound.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kernels.reference.hold_tone import KEPT, hold_tone
from kernels.reference.spatial_gains import spatial_gains
from kernels.registry import resolve
from streamsep.condition.bands import band_edges
from streamsep.config import ENVELOPES, HOP, STEMS
from streamsep.streaming import State, StreamModule

# Of a column of 20 ms. Places are those of the last two seconds, or a new song would suffer; a tone's are of 0.2 s.
_PLACES, _TONE = 0.99, 0.9
_LOW = 32  # bins, up to 800 Hz: each of them a band of its own
_BASS = STEMS.index("bass")


class StemGains(StreamModule):
    """Masks and columns ``hop`` samples apart → gains; ``sets`` of stems, each of which sums to the mixture."""

    def __init__(self, sets: int = 1, hop: int = HOP) -> None:
        super().__init__()
        self.sets, columns = sets, hop / HOP
        self.places_decay, self.tone_decay = _PLACES**columns, _TONE**columns
        self.places: Callable[..., Tensor] = spatial_gains  # another implementation may be put in its place
        self.tone: Callable[..., Tensor] = hold_tone  # this one's, too

    def select_kernels(self, device: str = "cpu", backend: str = "auto") -> tuple[str, ...]:
        """Choose the kernels that ``step`` runs on (plain torch until then) and return their names.

        Raises ValueError for a backend that does not serve the device.
        """
        places, tone = resolve("spatial_gains", device, backend), resolve("hold_tone", device, backend)
        self.places, self.tone = places.function, tone.function
        return str(places), str(tone)

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("places", self.sets, len(STEMS), 3, ENVELOPES, device=device)
        state.add("tone", self.sets, KEPT, _LOW, device=device)
        return state

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, masks: Tensor, spectrum: Tensor, state: State, active: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A frame's columns.

        Args:
            masks: [B, S, 2 sides, columns, 120], set after set.
            spectrum: [B, 2 sides, columns, 961] complex, of the mixture.

        Returns:
            gains [B, S, 2 sides of the stem, 2 of the mixture, columns, 120], and what is to be added to what they
            make of the lowest bins, [B, S, 2 sides, columns, 32] complex.
        """
        shares = masks.unflatten(1, (self.sets, -1))
        gains = self.places(shares, spectrum, band_edges(masks.device), self.places_decay, state["places"], active)
        added = self.tone(gains, spectrum, _BASS, self.tone_decay, state["tone"], active)
        return gains.flatten(1, 2), added.flatten(1, 2)
