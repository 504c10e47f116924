"""Many streams through one net, those that are ready in one step. Knows slots; knows no rates, sessions or clocks.

    slots   0  1  2  3  4  5        a step runs on a range of slots that covers those that are ready, here 1 … 4;
    ready      x     x  x           the others of the range are masked and keep their state

A ``Stream`` is a batch of one. Larger batches sum in another order, which shows below -120 dBFS; ``exact`` steps every
slot alone and so keeps the bits of a stream, at the cost of the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsep.choices import MASK
from streamsep.config import FRAME, PREDICTIVE_HOP
from streamsep.engine.clock import in_hops
from streamsep.engine.frame import FrameGraphs, FrameOutput, FrameStep, Mode, modes
from streamsep.engine.hops import HopStep
from streamsep.engine.levels import Level
from streamsep.engine.pages import PagePool
from streamsep.engine.parked import Parked
from streamsep.engine.parts import Parts
from streamsep.engine.settings import PLAIN, Settings
from streamsep.engine.slots import Slots
from streamsep.engine.transfer import Sound, gathered, marked, to_host
from streamsep.lm.pages import Pages, ring_pages
from streamsep.model.net import Net
from streamsep.render.predictive import HOPS

Codes = NDArray[np.int64]

_IDLE = 3  # rows for nobody that take a CPU about as long as one more step


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
        self._frame_step, self._hop_step = FrameStep(self._parts, self._slots), HopStep(self._parts, self._slots)
        self._pin = self._device.type == "cuda"
        wanted = self._pin and not exact if graphs is None else graphs
        self._graphs = FrameGraphs(self._frame_step, self._slots) if wanted else None
        # How many slots that are not ready a step may have between two that are; a GPU takes them along for nothing.
        self._idle = -1 if exact else slots if self._pin or wanted else _IDLE

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

    def compact(self) -> tuple[int, int] | None:
        """Move the stream in the highest slot to the lowest free one, if smaller graphs might then do: where it was and
        where it is now, with the bits that it would have had, but for the size of the graph. None when none was moved.
        """
        if self._graphs is None or not self._taken:
            return None
        highest = max(self._taken)
        if self._graphs.bucket(highest + 1) == self._graphs.bucket(self.taken):
            return None
        return highest, self._slots.move(highest)

    def codes(self, slot: int) -> Codes | None:
        """Tokens [S, q] that the last tick of ``slot`` emitted; None when its language model did not run."""
        return self._taken[slot].codes

    def unit(self, slot: int) -> int:
        """Samples at 48 kHz that a tick of ``slot`` takes: 480 for the mask render at lookahead -1, else 1920."""
        return PREDICTIVE_HOP if self._predicts(slot) else FRAME

    def tick(self, blocks: Mapping[int, Sound], level: Level = Level.FULL) -> dict[int, Sound]:
        """Slot → mixture [2, unit] left/right at 48 kHz; gives slot → stems [R, 2, unit], R the rows of the
        settings.

        ``level``: how much is computed for all of them.
        """
        with torch.inference_mode():
            out: dict[int, Sound] = {}
            frames: dict[int, Sound] = {}
            hops = {slot: block for slot, block in blocks.items() if self._predicts(slot)}
            for group in self._groups(hops):
                out.update(self._render_hops(group, hops))
            for slot, block in blocks.items():
                self._taken[slot].codes = None
                if (frame := self._frame(slot, block)) is not None:
                    frames[slot] = frame
            for seeded, slots in self._by_seed(frames, level):
                for group in self._groups(slots):
                    out.update(self._step(group, frames, Mode(level, seeded)))
            return out

    def steps(self, slots: Collection[int], level: Level) -> Counter[int]:
        """How often a tick of ``slots`` costs what so many rows do: on graphs once or twice a whole bucket, however few
        of it are ready; else a single row for each.
        """
        if self._graphs is None:
            return Counter({1: len(slots)})
        return Counter(self._graphs.bucket(max(part) + 1) for _, part in self._by_seed(slots, level))

    def record(self) -> None:
        """Make now what is else made when first wanted, in the middle of a song: the graphs of all modes with what they
        need on the host, and what the first stream that is parked is marked with. On a GPU every mode keeps buffers of
        about 0.2 MB a slot.
        """
        _ = self._slots.model
        if self._graphs is not None:
            with torch.inference_mode():
                for mode in modes(self.settings):
                    for bucket in self._graphs.buckets():
                        out, _ = self._run(0, bucket, [], {}, [], mode)
                        to_host(out.sound, out.codes)

    def nudge(self) -> None:
        """Work for nobody, if there are graphs: keeps a GPU's clocks up while there is nothing else to do."""
        if self._graphs is not None:
            with torch.inference_mode():
                self._graphs.nudge()

    def _predicts(self, slot: int) -> bool:
        return in_hops(self._taken[slot].lookahead, self.settings.render)

    def _by_seed(self, slots: Collection[int], level: Level) -> list[tuple[bool, list[int]]]:
        """Slots whose tokens are drawn, and the others, apart; none is when there are no tokens."""
        parts: dict[bool, list[int]] = {}
        for slot in sorted(slots):
            parts.setdefault(self.settings.draws(level) and self._taken[slot].seed is not None, []).append(slot)
        return sorted(parts.items())

    def _groups(self, slots: Collection[int]) -> list[list[int]]:
        """Which slots step together."""
        groups: list[list[int]] = []
        for slot in sorted(slots):
            if groups and slot - groups[-1][-1] - 1 <= self._idle:
                groups[-1].append(slot)
            else:
                groups.append([slot])
        return groups

    def _range(self, group: list[int]) -> tuple[int, int]:
        """First slot of the step of ``group``, and the one past its last."""
        stop = group[-1] + 1
        return (group[0], stop) if self._graphs is None else (0, self._graphs.bucket(stop))

    def _frame(self, slot: int, block: Sound) -> Sound | None:
        """The frame that ``block`` completes, if it does."""
        if not self._predicts(slot):
            return block
        heard = self._taken[slot].heard
        heard.append(block)
        if len(heard) < HOPS:
            return None
        self._taken[slot].heard = []
        return np.concatenate(heard, -1)

    def _step(self, group: list[int], frames: Mapping[int, Sound], mode: Mode) -> dict[int, Sound]:
        """One frame of the slots in ``group``: stems of those that render by frames."""
        for slot in group:
            self._taken[slot].frames += 1
        rendering = [slot for slot in group if self._renders(slot)]
        predicting = [slot for slot in group if self._predicts(slot)]
        first, stop = self._range(group)
        out, active = self._run(first, stop, group, frames, rendering, replace(mode, rendered=bool(rendering)))
        if predicting:
            assert out.masks is not None
            self._hop_step.predict(first, stop, out.masks, None if active is None else self._moved(active))
        sound, codes = to_host(out.sound if rendering else None, out.codes)
        codes = None if codes is None else codes.copy()  # on a CPU they might be the net's own
        for slot in group:
            self._taken[slot].codes = None if codes is None else codes[slot - first]
        silent = set(group).difference(rendering, predicting)
        found = {slot: np.zeros((self.settings.rows, 2, FRAME), np.float32) for slot in silent}
        return found if sound is None else found | {slot: sound[slot - first] for slot in rendering}

    def _renders(self, slot: int) -> bool:
        """Whether the frame that is due has a sound: not of predicted masks, nor of codes before the beginning."""
        held = self._taken[slot]
        if self.settings.render == MASK:
            return not self._predicts(slot)
        return held.frames > max(0, held.lookahead)

    def _run(
        self, first: int, stop: int, group: list[int], frames: Mapping[int, Sound], rendering: list[int], mode: Mode
    ) -> tuple[FrameOutput, Tensor | None]:
        """The frame of the slots ``first`` … ``stop - 1``, and which of them are in ``group``: all when None."""
        mixture = gathered(frames, group, first, stop, (2, FRAME), self._pin)
        if self._graphs is None:
            active, sounding = (self._mask(slots, first, stop) for slots in (group, rendering))
            return self._frame_step(first, stop, mode, self._moved(mixture), active, sounding), active
        # From the host into the graph's own buffers, and nothing waits.
        active, sounding = marked((group, rendering), first, stop, self._pin)
        return self._graphs(replace(mode, rendered=True), mixture, active, sounding), active

    def _render_hops(self, group: list[int], blocks: Mapping[int, Sound]) -> dict[int, Sound]:
        """480 samples of the slots in ``group`` under the masks predicted for them; the first frame is even."""
        first, stop = group[0], group[-1] + 1
        block = gathered(blocks, group, first, stop, (2, PREDICTIVE_HOP), self._pin)
        hop = torch.zeros(stop - first, dtype=torch.int64, pin_memory=self._pin)
        hop.numpy()[np.asarray(group) - first] = [len(self._taken[slot].heard) for slot in group]
        moved = self._moved(block), self._moved(hop)
        (sound,) = to_host(self._hop_step(first, stop, *moved, self._mask(group, first, stop)))
        assert sound is not None
        return {slot: sound[slot - first] for slot in group}

    def _mask(self, slots: list[int], first: int, stop: int) -> Tensor | None:
        """[stop - first] bool of ``slots``; None when that is all of them."""
        return None if len(slots) == stop - first else self._moved(marked([slots], first, stop, self._pin)[0])

    def _moved(self, x: Tensor) -> Tensor:
        return x.to(self._device, non_blocking=True)
