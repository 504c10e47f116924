"""Many streams through one net, those that are ready in one step. Knows slots; knows no rates, sessions or clocks.

    slots   0  1  2  3  4  5        a step runs on the range of slots that covers all that are ready, here 1 … 4;
    ready      x     x  x           the others of the range are masked and keep their state

A batch of one computes the same bits as a ``Stream``. Larger batches sum in another order, which shows below -120 dBFS;
``exact`` steps every slot alone and so keeps the bits, at the cost of the batch.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsep.codec.stft import STFT
from streamsep.condition.features import mid_side
from streamsep.config import ENVELOPES, FRAME, LOOKAHEADS, PREDICTIVE_HOP, STEMS
from streamsep.engine.runner import CODEC, MASK, Settings, decoding_of
from streamsep.model.net import FUSED, GUIDE, Net, NetOutput
from streamsep.render.codec import CodecRenderer
from streamsep.render.mask import MaskRenderer
from streamsep.render.predictive import HOPS, PredictiveRenderer, hop_masks

Sound = NDArray[np.float32]


@dataclass
class _Slot:
    """What of a stream is no tensor of a state: blocks that wait for their frame, masks for the next, frames so far."""

    lookahead: int
    heard: list[Tensor] = field(default_factory=list)
    masks: Tensor | None = None
    frames: int = 0


class Batch:
    """``slots`` places for streams of one render; ``tick`` advances any of them by one tick.

    A place that was freed and is opened again remembers nothing of the stream before.
    """

    def __init__(self, net: Net, slots: int, render: str = MASK, decode: str = FUSED, exact: bool = False) -> None:
        self.slots, self.render, self.exact = slots, render, exact
        self._device = next(net.parameters()).device
        self._net, self._decode = net, decode
        self._decoding = decoding_of(net, Settings(render, (decode,)))
        self._stft = STFT().to(self._device)
        self._mask, self._hop = MaskRenderer().to(self._device), PredictiveRenderer().to(self._device)
        self._codec = CodecRenderer(net.codec).to(self._device)
        with torch.inference_mode():
            self._states = {
                "stft": self._stft.init_state(slots, self._device),
                "net": net.init_state(slots, self._device),
            }
            if render == CODEC:
                self._states["codec"] = self._codec.init_state(slots, self._device)
            else:
                self._states["mask"] = self._mask.init_state(slots, self._device)
                self._states["hop"] = self._hop.init_state(slots, self._device)
        self._lookahead = torch.zeros(slots, dtype=torch.int64, device=self._device)
        self._free = list(range(slots))
        self._taken: dict[int, _Slot] = {}

    @property
    def taken(self) -> int:
        return len(self._taken)

    def open(self, lookahead: int) -> int:
        """Take the lowest free slot, as new. Raises IndexError when none is left."""
        slot = heapq.heappop(self._free)
        self.reset(slot, lookahead)
        return slot

    def reset(self, slot: int, lookahead: int) -> None:
        """Forget everything that ``slot`` heard; it goes on with ``lookahead``."""
        with torch.inference_mode():
            for state in self._states.values():
                state.narrow(slot, slot + 1).reset()
            self._lookahead[slot] = LOOKAHEADS.index(lookahead)
        self._taken[slot] = _Slot(lookahead)

    def close(self, slot: int) -> None:
        del self._taken[slot]
        heapq.heappush(self._free, slot)

    def tick(self, blocks: Mapping[int, Sound], hurried: Collection[int] = ()) -> dict[int, Sound]:
        """Slot → mixture [2, unit] left/right at 48 kHz; gives slot → stems [S, 2, unit].

        ``unit`` is 480 for the mask render at lookahead -1, else 1920. ``hurried``: slots that the guide head alone
        separates, several times as fast; their language model pauses. The codec render knows no such hurry.
        """
        with torch.inference_mode():
            tensors = {slot: torch.from_numpy(block).to(self._device) for slot, block in blocks.items()}
            out: dict[int, Tensor] = {}
            frames: dict[int, Tensor] = {}
            hops = {slot: block for slot, block in tensors.items() if self._predicts(slot)}
            for group in self._groups(hops):
                out.update(self._render_hops(group, hops))
            for slot, block in tensors.items():
                if (frame := self._frame(slot, block)) is not None:
                    frames[slot] = frame
            slow = [slot for slot in frames if slot not in hurried or self.render == CODEC]
            fast = [slot for slot in frames if slot not in slow]
            for slots, decode in ((slow, self._decode), (fast, GUIDE)):
                for group in self._groups(slots):
                    out.update(self._step(group, frames, decode))
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

    def _step(self, group: list[int], frames: dict[int, Tensor], decode: str) -> dict[int, Tensor]:
        """One frame of the slots in ``group``: stems of those that render by frames."""
        first, stop, active = self._range(group)
        part = {name: state.narrow(first, stop) for name, state in self._states.items()}
        mixture = self._gather(frames, group, (2, FRAME))
        spectrum = self._stft.step(mid_side(mixture, 1), part["stft"], active)
        codec = self.render == CODEC
        decodes = () if codec else (decode,)
        lookahead = self._lookahead[first:stop]
        out = self._net.step(
            spectrum, lookahead, part["net"], active, decodes=decodes, decoding=self._decoding, tokens=codec
        )
        for slot in group:
            self._taken[slot].frames += 1
        if codec:
            return self._render_codec(group, out)
        masks = out.masks[decode]
        for slot in group:
            if self._predicts(slot):
                self._taken[slot].masks = hop_masks(masks[slot - first : slot - first + 1])[0]
        rendering = [slot for slot in group if not self._predicts(slot)]
        if not rendering:
            return {}
        sound = self._mask.step(masks, out.spectrum, part["mask"], self._active(rendering, first, stop))
        return {slot: sound[slot - first] for slot in rendering}

    def _render_hops(self, group: list[int], blocks: dict[int, Tensor]) -> dict[int, Tensor]:
        """480 samples of the slots in ``group`` under the masks predicted for them; the first frame is even."""
        first, stop, active = self._range(group)
        masks = torch.zeros(stop - first, len(STEMS), 2, ENVELOPES, device=self._device)
        for slot in group:
            kept = self._taken[slot]
            masks[slot - first] = 1 / len(STEMS) if kept.masks is None else kept.masks[len(kept.heard)]
        block = self._gather(blocks, group, (2, PREDICTIVE_HOP))
        sound = self._hop.step(masks, block, self._states["hop"].narrow(first, stop), active)
        return {slot: sound[slot - first] for slot in group}

    def _render_codec(self, group: list[int], out: NetOutput) -> dict[int, Tensor]:
        """The decoder's sound; silence for frames before the beginning, whose codes mean nothing."""
        assert out.lm is not None
        first, stop, _ = self._range(group)
        begun = [slot for slot in group if self._taken[slot].frames > max(0, self._taken[slot].lookahead)]
        sound = {slot: torch.zeros(len(STEMS), 2, FRAME, device=self._device) for slot in group}
        if begun:
            state = self._states["codec"].narrow(first, stop)
            rendered = self._codec.step(out.lm.codes, out.level, state, self._active(begun, first, stop))
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
