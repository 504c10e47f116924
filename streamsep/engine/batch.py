"""Many streams through one net, those that are ready in one step. Knows slots; knows no rates, sessions or clocks.

    slots   0  1  2  3  4  5        a step runs on the range of slots that covers all that are ready, here 1 … 4;
    ready      x     x  x           the others of the range are masked and keep their state

A ``Stream`` is a batch of one. Larger batches sum in another order, which shows below -120 dBFS; ``exact`` steps every
slot alone and so keeps the bits of a stream, at the cost of the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsep.choices import MASK
from streamsep.config import ENVELOPES, FRAME, PREDICTIVE_HOP, STEMS
from streamsep.engine.clock import in_hops
from streamsep.engine.frame import FrameGraphs, FrameOutput, FrameStep, Mode
from streamsep.engine.levels import Level
from streamsep.engine.pages import PagePool
from streamsep.engine.parked import Parked
from streamsep.engine.parts import Parts
from streamsep.engine.settings import PLAIN, Settings
from streamsep.engine.slots import Slots
from streamsep.lm.pages import Pages, ring_pages
from streamsep.model.net import Net
from streamsep.render.predictive import HOPS, hop_masks

Sound = NDArray[np.float32]
Codes = NDArray[np.int64]


class Batch:
    """``slots`` places for streams that are separated alike; ``tick`` advances any of them by one tick.

    A place that was freed and is opened again remembers nothing of the stream before. ``pool``: where pages come from;
    when None, a pool of its own that is enough for all slots. ``graphs``: step the first slots, as many as a power of
    two, on buffers that never move, on a GPU as one CUDA graph; when None, on a GPU unless ``exact``: how many
    step together changes the bits.
    """

    def __init__(
        self,
        net: Net,
        slots: int,
        settings: Settings = PLAIN,
        exact: bool = False,
        pool: PagePool | None = None,
        graphs: bool | None = None,
    ) -> None:
        self.settings, self.exact = settings, exact
        self._parts = Parts(net, settings)
        self._device = self._parts.device
        if pool is None:
            with torch.inference_mode():
                pool = PagePool(Pages(net.config.lm, slots * ring_pages(net.config.lm), self._device))
        self._slots = Slots(self._parts, slots, pool)
        self._taken = self._slots.taken
        self._frame_step = FrameStep(self._parts, self._slots)
        wanted = self._device.type == "cuda" and not exact if graphs is None else graphs
        self._graphs = FrameGraphs(self._frame_step, self._slots) if wanted else None

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
        return None if codes is None else codes.numpy()

    def unit(self, slot: int) -> int:
        """Samples at 48 kHz that a tick of ``slot`` takes: 480 for the mask render at lookahead -1, else 1920."""
        return PREDICTIVE_HOP if self._predicts(slot) else FRAME

    def tick(self, blocks: Mapping[int, Sound], level: Level = Level.FULL) -> dict[int, Sound]:
        """Slot → mixture [2, unit] left/right at 48 kHz; gives slot → stems [R, 2, unit], R the rows of the
        settings.

        ``level``: how much is computed for all of them.
        """
        with torch.inference_mode():
            tensors = {slot: torch.from_numpy(block) for slot, block in blocks.items()}
            out: dict[int, Sound] = {}
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
                    out.update(self._step(group, frames, level, seeded))
            return out

    def record(self) -> None:
        """Make now what is else made when first wanted, in the middle of a song: the graphs of every level, and what
        the first stream that is parked is marked with.
        """
        _ = self._slots.model
        if self._graphs is not None:
            with torch.inference_mode():
                self._graphs.record(tuple(Mode(level) for level in Level))

    def nudge(self) -> None:
        """Work for nobody, if there are graphs: keeps a GPU's clocks up while there is nothing else to do."""
        if self._graphs is not None:
            with torch.inference_mode():
                self._graphs.nudge()

    def _predicts(self, slot: int) -> bool:
        return in_hops(self._taken[slot].lookahead, self.settings.render)

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

    def _step(self, group: list[int], frames: dict[int, Tensor], level: Level, seeded: bool) -> dict[int, Sound]:
        """One frame of the slots in ``group``: stems of those that render by frames."""
        for slot in group:
            self._taken[slot].frames += 1
        rendering = [slot for slot in group if self._renders(slot)]
        first, out = self._run(group, frames, rendering, Mode(level, seeded, bool(rendering)))
        codes = None if out.codes is None else out.codes.cpu()  # all at once: a GPU takes as long for one slot's
        for slot in group:
            held, row = self._taken[slot], slot - first
            held.codes = None if codes is None else codes[row].clone()
            if self._predicts(slot):
                assert out.masks is not None
                held.masks = hop_masks(out.masks[row : row + 1])[0]
        sound = None if out.sound is None else _to_host(out.sound)
        silent = [slot for slot in group if slot not in rendering and not self._predicts(slot)]
        found = {slot: np.zeros((self.settings.rows, 2, FRAME), np.float32) for slot in silent}
        return found if sound is None else found | {slot: sound[slot - first] for slot in rendering}

    def _renders(self, slot: int) -> bool:
        """Whether the frame that is due has a sound: not of predicted masks, nor of codes before the beginning."""
        held = self._taken[slot]
        if self.settings.render == MASK:
            return not self._predicts(slot)
        return held.frames > max(0, held.lookahead)

    def _run(
        self, group: list[int], frames: dict[int, Tensor], rendering: list[int], mode: Mode
    ) -> tuple[int, FrameOutput]:
        """The frame of a range of slots that covers ``group``, and the first of the range."""
        if self._graphs is None:
            first, stop = group[0], group[-1] + 1
            mixture = self._gather(frames, group, first, stop, (2, FRAME))
            active, sounding = (self._mask(slots, first, stop) for slots in (group, rendering))
            return first, self._frame_step(first, stop, mode, mixture, active, sounding)
        stop = self._graphs.bucket(group[-1] + 1)
        mixture = self._gather(frames, group, 0, stop, (2, FRAME))
        active, sounding = (self._marked(slots, 0, stop) for slots in (group, rendering))
        return 0, self._graphs(replace(mode, rendered=True), mixture, active, sounding)

    def _render_hops(self, group: list[int], blocks: dict[int, Tensor]) -> dict[int, Sound]:
        """480 samples of the slots in ``group`` under the masks predicted for them; the first frame is even."""
        first, stop = group[0], group[-1] + 1
        masks = torch.zeros(stop - first, self.settings.rows, 2, ENVELOPES, device=self._device)
        for slot in group:
            kept = self._taken[slot]
            masks[slot - first] = 1 / len(STEMS) if kept.masks is None else kept.masks[len(kept.heard)]
        block = self._gather(blocks, group, first, stop, (2, PREDICTIVE_HOP))
        state = self._slots.state.child("hop").narrow(first, stop)
        sound = _to_host(self._parts.hop.step(masks, block, state, self._mask(group, first, stop)))
        return {slot: sound[slot - first] for slot in group}

    def _mask(self, slots: list[int], first: int, stop: int) -> Tensor | None:
        """[stop - first] bool of ``slots``; None when that is all of them."""
        return None if len(slots) == stop - first else self._marked(slots, first, stop)

    def _marked(self, slots: list[int], first: int, stop: int) -> Tensor:
        marks = torch.zeros(stop - first, dtype=torch.bool)
        marks[[slot - first for slot in slots]] = True
        return marks.to(self._device)

    def _gather(
        self, blocks: Mapping[int, Tensor], group: list[int], first: int, stop: int, shape: tuple[int, int]
    ) -> Tensor:
        """[stop - first, *shape], zeros where no slot of the group is: gathered on the host, moved at once."""
        out = torch.zeros(stop - first, *shape, pin_memory=self._device.type == "cuda")
        for slot in group:
            out[slot - first] = blocks[slot]
        return out.to(self._device, non_blocking=True)


def _to_host(x: Tensor) -> Sound:
    """``x`` as an array; from a GPU through memory that it writes by itself, several times as fast."""
    if not x.is_cuda:
        return x.numpy()
    kept = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
    kept.copy_(x)
    return kept.numpy()
