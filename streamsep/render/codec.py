"""Codec renderer: codes → the codec's own sound of every stem. Knows codes and columns; never hears the mixture.

The stems are the decoder's, phase and all. They do **not** sum to the mixture, and nothing is done to make them: what
the codec cannot say is missing, and spreading the rest over the stems would bring the mixture back into each of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from streamsep.codec.model import Codec
from streamsep.codec.stft import ISTFT
from streamsep.condition.features import mid_side
from streamsep.config import STEMS
from streamsep.streaming import State, StreamModule


class FoldedState(State):
    """A state of B·S rows, seen as one of B slots: the stems of a stream are reset, saved and moved together."""

    def __init__(self, rows: State, stems: int) -> None:
        super().__init__(rows.slots // stems)
        self.rows = rows
        self._stems = stems

    def named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for name, tensor in self.rows.named_tensors(prefix):
            yield name, tensor.unflatten(0, (self.slots, self._stems))

    def narrow(self, start: int, stop: int) -> State:
        return FoldedState(self.rows.narrow(start * self._stems, stop * self._stems), self._stems)

    def save(self, slot: int) -> dict[str, Tensor]:
        return {name: tensor[slot].clone() for name, tensor in self.named_tensors()}

    def load(self, slot: int, saved: dict[str, Tensor]) -> None:
        for name, tensor in self.named_tensors():
            tensor[slot] = saved[name]

    def reset(self, mask: Tensor | None = None) -> None:
        self.rows.reset(None if mask is None else mask.repeat_interleave(self._stems))


class CodecRenderer(StreamModule):
    """Codes of a frame → 1920 samples a stem, 960 samples behind the frame."""

    delay = 960  # samples, of the overlap-add

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec
        self.istft = ISTFT()

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.nest("codec", FoldedState(self.codec.init_state(slots * len(STEMS), device), len(STEMS)))
        state.nest("istft", self.istft.init_state(slots, device))
        return state

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, codes: Tensor, level: Tensor, state: State, active: Tensor | None = None
    ) -> Tensor:
        """``codes`` [B, S, Q] of all codebooks, ``level`` [B] of the mixture → [B, S, 2 left/right, 1920]."""
        folded = state.child("codec")
        assert isinstance(folded, FoldedState)
        stems = codes.shape[1]
        rows = None if active is None else active.repeat_interleave(stems)
        columns = self.codec.decode_step(codes.flatten(0, 1), level.repeat_interleave(stems), folded.rows, rows)
        wave = self.istft.step(columns.unflatten(0, (-1, stems)), state.child("istft"), active)
        return mid_side(wave, 2)

    def dry(self, spectrum: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        """A frame that was not decoded: the mixture's columns [B, 2, 2, 961] as `other`, the other stems silent."""
        columns = spectrum.new_zeros(len(spectrum), len(STEMS), *spectrum.shape[1:])
        columns[:, STEMS.index("other")] = spectrum
        return mid_side(self.istft.step(columns, state.child("istft"), active), 2)
