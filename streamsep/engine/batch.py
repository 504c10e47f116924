"""Many streams through one net, those that are ready in one step. Knows slots; knows no rates, sessions or clocks.

    slots   0  1  2  3  4  5        a step runs on the range of slots that covers all that are ready, here 1 … 4;
    ready      x     x  x           the others of the range are masked and keep their state

A batch of one computes the same bits as a ``Stream``. Larger batches sum in another order, which shows below -120 dBFS;
``exact`` steps every slot alone and so keeps the bits, at the cost of the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsep.condition.features import mid_side
from streamsep.config import ENVELOPES, FRAME, PREDICTIVE_HOP, STEMS
from streamsep.engine.levels import Level
from streamsep.engine.pages import PagePool
from streamsep.engine.parked import Parked
from streamsep.engine.parts import Parts
from streamsep.engine.runner import CODEC, MASK, Settings, decoding_of
from streamsep.engine.slots import Slots
from streamsep.lm import Decoding
from streamsep.lm.pages import Pages, ring_pages
from streamsep.model.net import FUSED, GUIDE, Net, NetOutput
from streamsep.render.predictive import HOPS, hop_masks
from streamsep.streaming import State

Sound = NDArray[np.float32]
Codes = NDArray[np.int64]


class Batch:
    """``slots`` places for streams of one render; ``tick`` advances any of them by one tick.

    A place that was freed and is opened again remembers nothing of the stream before. ``pool``: where pages come from;
    when None, a pool of its own that is enough for all slots.
    """

    def __init__(
        self,
        net: Net,
        slots: int,
        render: str = MASK,
        decode: str = FUSED,
        exact: bool = False,
        pool: PagePool | None = None,
    ) -> None:
        self.render, self.exact = render, exact
        self._decode = decode
        self._parts = Parts(net, render)
        self._device = self._parts.device
        if pool is None:
            with torch.inference_mode():
                pool = PagePool(Pages(net.config.lm, slots * ring_pages(net.config.lm), self._device))
        self._slots = Slots(self._parts, slots, decode, pool)
        self._taken = self._slots.taken
        self._decodings = {seeded: decoding_of(net, Settings(render, (decode,), seed=seeded)) for seeded in (None, 0)}

    @property
    def slots(self) -> int:
        return self._slots.count

    @property
    def taken(self) -> int:
        return len(self._taken)

    def open(self, lookahead: int, seed: int | None = None) -> int:
        """Take the lowest free slot, as new. Raises CapacityError when no slot or too few pages are left.

        ``seed``: draw tokens at random, repeatably; the likeliest when None.
        """
        return self._slots.open(lookahead, seed)

    def reset(self, slot: int, lookahead: int) -> None:
        """Forget everything that ``slot`` heard; it goes on with ``lookahead``."""
        self._slots.reset(slot, lookahead, self._taken[slot].seed)

    def close(self, slot: int) -> None:
        self._slots.close(slot)

    def save(self, slot: int) -> Parked:
        """A copy, on the host, of all that ``slot`` remembers. The stream may go on."""
        return self._slots.save(slot)

    def load(self, parked: Parked) -> int:
        """Take a slot for a parked stream: it goes on with the bits that it would have had.

        Raises CapacityError when it does not fit in, ParkedError when it is damaged or belongs to another model.
        """
        return self._slots.load(parked)

    def codes(self, slot: int) -> Codes | None:
        """Tokens [S, q] that the last tick of ``slot`` emitted; None when its language model did not run."""
        codes = self._taken[slot].codes
        return None if codes is None else codes.cpu().numpy()

    def tick(self, blocks: Mapping[int, Sound], level: Level = Level.FULL) -> dict[int, Sound]:
        """Slot → mixture [2, unit] left/right at 48 kHz; gives slot → stems [S, 2, unit].

        ``unit`` is 480 for the mask render at lookahead -1, else 1920. ``level``: how much is computed for all of them.
        """
        with torch.inference_mode():
            tensors = {slot: torch.from_numpy(block).to(self._device) for slot, block in blocks.items()}
            out: dict[int, Tensor] = {}
            frames: dict[int, Tensor] = {}
            hops = {slot: block for slot, block in tensors.items() if self._predicts(slot)}
            for group in self._groups(hops):
                out.update(self._render_hops(group, hops))
            for slot, block in tensors.items():
                self._taken[slot].codes = None
                if (frame := self._frame(slot, block)) is not None:
                    frames[slot] = frame
            for seeded in (False, True):
                slots = [slot for slot in frames if (self._taken[slot].seed is not None) == seeded]
                for group in self._groups(slots):
                    out.update(self._step(group, frames, level))
            return {slot: sound.cpu().numpy() for slot, sound in out.items()}

    def _predicts(self, slot: int) -> bool:
        return self._taken[slot].lookahead < 0 and self.render == MASK

    def _groups(self, slots: Collection[int]) -> list[list[int]]:
        """Which slots step together."""
        ordered = sorted(slots)
        if self.exact:
            return [[slot] for slot in ordered]
        return [ordered] if ordered else []

    def _frame(self, slot: int, block: Tensor) -> Tensor | None:
        """The frame that ``block`` completes, if it does."""
        if not self._predicts(slot):
            return block
        heard = self._taken[slot].heard
        heard.append(block)
        if len(heard) < HOPS:
            return None
        self._taken[slot].heard = []
        return torch.cat(heard, -1)

    def _step(self, group: list[int], frames: dict[int, Tensor], level: Level) -> dict[int, Tensor]:
        """One frame of the slots in ``group``: stems of those that render by frames."""
        first, stop, active = self._range(group)
        state = self._slots.state.narrow(first, stop)
        mixture = self._gather(frames, group, (2, FRAME))
        spectrum = self._parts.stft.step(mid_side(mixture, 1), state.child("stft"), active)
        out = self._separate(group, spectrum, state, active, level)
        for slot in group:
            held = self._taken[slot]
            held.frames += 1
            held.codes = None if out.lm is None else out.lm.codes[slot - first]
        if self.render == CODEC:
            return self._render_codec(group, out, state)
        (masks,) = out.masks.values()
        for slot in group:
            if self._predicts(slot):
                self._taken[slot].masks = hop_masks(masks[slot - first : slot - first + 1])[0]
        rendering = [slot for slot in group if not self._predicts(slot)]
        if not rendering:
            return {}
        sound = self._parts.mask.step(masks, out.spectrum, state.child("mask"), self._active(rendering, first, stop))
        return {slot: sound[slot - first] for slot in rendering}

    def _separate(
        self, group: list[int], spectrum: Tensor, state: State, active: Tensor | None, level: Level
    ) -> NetOutput:
        first, stop = group[0], group[-1] + 1
        net, lookahead = self._parts.net, self._slots.lookahead[first:stop]
        if level == Level.DRY:
            return net.skip(spectrum, lookahead, state.child("net"), active)
        codec, seeded = self.render == CODEC, self._taken[group[0]].seed is not None
        decodes = () if codec else (GUIDE if level else self._decode,)
        return net.step(
            spectrum,
            lookahead,
            state.child("net"),
            active,
            decodes=decodes,
            decoding=self._decoding(seeded, level),
            seed=self._slots.seed[first:stop] if seeded else None,
            tokens=codec,
        )

    def _decoding(self, seeded: bool, level: Level) -> Decoding:
        decoding = self._decodings[0 if seeded else None]
        return replace(decoding, codebooks=None) if level else decoding  # None: the semantic ones

    def _render_hops(self, group: list[int], blocks: dict[int, Tensor]) -> dict[int, Tensor]:
        """480 samples of the slots in ``group`` under the masks predicted for them; the first frame is even."""
        first, stop, active = self._range(group)
        masks = torch.zeros(stop - first, len(STEMS), 2, ENVELOPES, device=self._device)
        for slot in group:
            kept = self._taken[slot]
            masks[slot - first] = 1 / len(STEMS) if kept.masks is None else kept.masks[len(kept.heard)]
        block = self._gather(blocks, group, (2, PREDICTIVE_HOP))
        sound = self._parts.hop.step(masks, block, self._slots.state.child("hop").narrow(first, stop), active)
        return {slot: sound[slot - first] for slot in group}

    def _render_codec(self, group: list[int], out: NetOutput, state: State) -> dict[int, Tensor]:
        """The decoder's sound, or the mixture's; silence before the beginning, where codes mean nothing."""
        first, stop = group[0], group[-1] + 1
        begun = [slot for slot in group if self._taken[slot].frames > max(0, self._taken[slot].lookahead)]
        sound = {slot: torch.zeros(len(STEMS), 2, FRAME, device=self._device) for slot in group}
        if begun:
            active = self._active(begun, first, stop)
            if out.lm is None:
                rendered = self._parts.codec.dry(out.spectrum, state.child("codec"), active)
            else:
                rendered = self._parts.codec.step(out.lm.codes, out.level, state.child("codec"), active)
            sound.update({slot: rendered[slot - first] for slot in begun})
        return sound

    def _range(self, group: list[int]) -> tuple[int, int, Tensor | None]:
        first, stop = group[0], group[-1] + 1
        return first, stop, self._active(group, first, stop)

    def _active(self, group: list[int], first: int, stop: int) -> Tensor | None:
        """[stop - first] bool of the slots in ``group``; None when that is all of them."""
        if len(group) == stop - first:
            return None
        active = torch.zeros(stop - first, dtype=torch.bool, device=self._device)
        active[[slot - first for slot in group]] = True
        return active

    def _gather(self, blocks: Mapping[int, Tensor], group: list[int], shape: tuple[int, int]) -> Tensor:
        """[stop - first, *shape], zeros where no slot of the group is."""
        out = torch.zeros(group[-1] + 1 - group[0], *shape, device=self._device)
        for slot in group:
            out[slot - group[0]] = blocks[slot]
        return out
