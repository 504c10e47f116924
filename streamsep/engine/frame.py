"""One frame of neighbouring slots: tensors in, tensors out, nothing asked of the host: a CUDA graph can hold it.

Knows parts and their state; which streams are in the slots, and what becomes of the sound, is not its business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from streamsep.choices import CODEC, GUIDE
from streamsep.condition.features import mid_side
from streamsep.config import FRAME
from streamsep.engine.levels import Level
from streamsep.engine.parts import Parts
from streamsep.engine.settings import Settings, decoding_of
from streamsep.engine.slots import Slots
from streamsep.lm import Decoding
from streamsep.model.net import NetOutput
from streamsep.streaming import State
from streamsep.streaming.graph import Static


@dataclass(frozen=True)
class Mode:
    """What is known of a frame before its sound is; a graph is made for each. ``rendered``: whether any slot's sound is
    wanted.
    """

    level: Level = Level.FULL
    seeded: bool = False
    rendered: bool = True


def modes(settings: Settings) -> list[Mode]:
    """Every way a frame can take of which some sound is wanted."""
    return [Mode(level, seeded) for level in Level for seeded in (False, True) if settings.draws(level) or not seeded]


@dataclass(frozen=True)
class FrameOutput:
    """Of B slots: ``masks`` [B, R, 2, 2, 120], R the rows of the settings (None of the codec render), ``codes``
    [B, S, q] (None without the language model) and ``sound`` [B, R, 2, 1920] (None when not rendered).
    """

    masks: Tensor | None
    codes: Tensor | None
    sound: Tensor | None


class FrameStep:
    """The frame of the slots ``first`` … ``stop - 1``."""

    def __init__(self, parts: Parts, slots: Slots) -> None:
        self._parts, self._slots, self._settings = parts, slots, parts.settings
        self._decodings = {drawn: decoding_of(parts.net, parts.settings, drawn) for drawn in (False, True)}

    def __call__(
        self, first: int, stop: int, mode: Mode, mixture: Tensor, active: Tensor | None, rendering: Tensor | None
    ) -> FrameOutput:
        """``mixture`` [B, 2, 1920] left/right; ``active`` [B] bool, slots that advance; ``rendering`` [B] bool, slots
        that render, the sound of the others means nothing. None means all.
        """
        state = self._slots.state.narrow(first, stop)
        spectrum = self._parts.stft.step(mid_side(mixture, 1), state.child("stft"), active)
        out = self._separate(first, stop, mode, spectrum, state.child("net"), active)
        codes = None if out.lm is None else out.lm.codes
        masks = self._stacked(out.masks)
        sound = self._render(out, masks, state, rendering) if mode.rendered else None
        return FrameOutput(masks, codes, sound)

    def _separate(
        self, first: int, stop: int, mode: Mode, spectrum: Tensor, state: State, active: Tensor | None
    ) -> NetOutput:
        net, lookahead = self._parts.net, self._slots.lookahead[first:stop]
        if mode.level == Level.DRY:
            return net.skip(spectrum, lookahead, state, active)
        codec = self._settings.render == CODEC
        decodes = () if codec else (GUIDE,) if mode.level else self._settings.decodes
        seed = self._slots.seed[first:stop] if mode.seeded else None
        decoding, tokens = self._decoding(mode), codec or self._settings.tokens
        return net.step(
            spectrum, lookahead, state, active, decodes=decodes, decoding=decoding, seed=seed, tokens=tokens
        )

    def _decoding(self, mode: Mode) -> Decoding:
        decoding = self._decodings[mode.seeded]
        return replace(decoding, codebooks=None) if mode.level else decoding  # None: the semantic ones

    def _stacked(self, masks: dict[str, Tensor]) -> Tensor | None:
        """Those of every way of decoding, one after another; in a hurry there is one, which then stands for all."""
        if not masks:
            return None
        any_ = next(iter(masks.values()))
        found = [masks.get(name, any_) for name in self._settings.decodes]
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def _render(self, out: NetOutput, masks: Tensor | None, state: State, rendering: Tensor | None) -> Tensor:
        if self._settings.render != CODEC:
            assert masks is not None
            return self._parts.mask.step(masks, out.spectrum, state.child("mask"), rendering)
        if out.lm is None:
            return self._parts.codec.dry(out.spectrum, state.child("codec"), rendering)
        return self._parts.codec.step(out.lm.codes, out.level, state.child("codec"), rendering)


class FrameGraphs:
    """``FrameStep`` of the first slots, as many as a power of two or all, each kept with its mode as a graph."""

    def __init__(self, step: FrameStep, slots: Slots) -> None:
        self._step, self._slots = step, slots
        self._graphs: dict[tuple[int, Mode], Static[FrameOutput]] = {}
        self._pool = torch.cuda.graph_pool_handle() if slots.lookahead.is_cuda else None

    def bucket(self, stop: int) -> int:
        """How many slots a graph has that holds the first ``stop``."""
        return min(self._slots.count, 1 << (stop - 1).bit_length())

    def buckets(self) -> list[int]:
        return sorted({self.bucket(stop) for stop in range(1, self._slots.count + 1)})

    def __call__(self, mode: Mode, mixture: Tensor, active: Tensor, rendering: Tensor) -> FrameOutput:
        """The frame of the first B slots, B a bucket, of tensors on the device or in pinned memory. On a GPU the next
        call of this bucket and mode writes over it.
        """
        return self._graph(len(mixture), mode)(mixture, active, rendering)

    def nudge(self) -> None:
        """The smallest frame, for nobody: a GPU that has nothing to do for long lowers its clocks."""
        self._graph(1, Mode()).idle()

    def _graph(self, count: int, mode: Mode) -> Static[FrameOutput]:
        if (count, mode) not in self._graphs:
            device = self._slots.lookahead.device
            mask = torch.zeros(count, dtype=torch.bool, device=device)
            mixture = torch.zeros(count, 2, FRAME, device=device)

            def frame(mixture: Tensor, active: Tensor, rendering: Tensor) -> FrameOutput:
                return self._step(0, count, mode, mixture, active, rendering)

            self._graphs[count, mode] = Static(frame, (mixture, mask, mask), self._pool)
        return self._graphs[count, mode]
