"""Places for streams: taken, given back, saved and loaded. Knows what a stream remembers; computes nothing.

A slot has a row in every tensor of the state and, as long as a stream is in it, pages of its own in the pool.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamsep.config import LOOKAHEADS, PREDICTIVE_HOP
from streamsep.engine.pages import PagePool
from streamsep.engine.parked import Facts, Parked, complex_again, fingerprint
from streamsep.engine.parts import Parts
from streamsep.errors import CapacityError, ParkedError
from streamsep.lm.pages import NOBODY, PagedState
from streamsep.render.predictive import HOPS
from streamsep.streaming import State

_ENDLESS = 2**62  # frames that no stream lives to see: a count beyond would overflow in a step that others share


@dataclass
class Held:
    """What of a stream is no row of a state: blocks that wait for their frame, frames so far, and the codes [S, q] that
    its last tick emitted, if it did.
    """

    lookahead: int
    seed: int | None = None
    heard: list[NDArray[np.float32]] = field(default_factory=list)
    frames: int = 0
    codes: NDArray[np.int64] | None = None


class Slots:
    """``count`` places."""

    def __init__(self, parts: Parts, count: int, pool: PagePool) -> None:
        self.count, self.taken = count, dict[int, Held]()
        self._parts, self._pool = parts, pool
        with torch.inference_mode():
            self.state = parts.init_state(count, pool.pages)
            self.lookahead = torch.zeros(count, dtype=torch.int64, device=parts.device)
            self.seed = torch.zeros(count, dtype=torch.int64, device=parts.device)
        self._table = _table(self.state)
        self._free = list(range(count))

    @torch.inference_mode()
    def open(self, lookahead: int, seed: int | None = None) -> int:
        """Take the lowest free slot, as new. Raises CapacityError when no slot or too few pages are left,
        ValueError for a lookahead or a seed that there is not.
        """
        LOOKAHEADS.index(lookahead)  # before anything is taken
        if not is_seed(seed):
            raise ValueError(f"the seed {seed} is no 64-bit number")
        if not self._free:
            raise CapacityError(f"all {self.count} places are taken; end or park a stream.")
        pages = self._pool.take(self._owner(self._free[0]))
        slot = heapq.heappop(self._free)
        self._table[slot] = torch.tensor(pages)
        self.reset(slot, lookahead, seed)
        return slot

    @torch.inference_mode()
    def reset(self, slot: int, lookahead: int, seed: int | None = None) -> None:
        """Forget everything that ``slot`` heard; it goes on with ``lookahead`` and ``seed``."""
        self._pool.wipe(self._owner(slot))
        self.state.narrow(slot, slot + 1).reset()
        self.lookahead[slot] = LOOKAHEADS.index(lookahead)
        self.seed[slot] = 0 if seed is None else seed
        self.taken[slot] = Held(lookahead, seed)

    @torch.inference_mode()
    def close(self, slot: int) -> None:
        """Give a place and its pages back."""
        del self.taken[slot]
        self._table[slot] = NOBODY
        self._pool.give_back(self._owner(slot))
        heapq.heappush(self._free, slot)

    @torch.inference_mode()
    def move(self, slot: int) -> int:
        """Take the stream of ``slot`` to the lowest free one, on the device: it goes on with its bits."""
        held, saved = self.taken[slot], self.state.save(slot)
        self.close(slot)
        lower = self.open(held.lookahead, held.seed)
        self.state.load(lower, saved)
        self.taken[lower] = held
        return lower

    def save(self, slot: int) -> Parked:
        """A copy, on the host, of all that the stream in ``slot`` remembers; it may go on."""
        held = self.taken[slot]
        with torch.inference_mode():
            tensors = {f"state.{name}": tensor for name, tensor in self.state.save(slot).items()}
            if held.heard:
                tensors["heard"] = torch.from_numpy(np.stack(held.heard))
        # Outside of inference mode: what is kept may be handed to anybody.
        tensors = {name: torch.empty(x.shape, dtype=x.dtype).copy_(x) for name, x in tensors.items()}
        return Parked(self._facts(held.lookahead, held.seed, held.frames), tensors)

    def load(self, parked: Parked) -> int:
        """Take a slot for a parked stream, which goes on where it was.

        Raises CapacityError as ``open`` does, and ParkedError when the stream belongs elsewhere or is damaged.
        """
        facts = parked.facts
        if facts != self._facts(facts.lookahead, facts.seed, facts.frames):
            raise ParkedError("the stream was parked by another model or another render; resume it with those.")
        if type(facts.lookahead) is not int or facts.lookahead not in LOOKAHEADS:
            raise ParkedError(f"what was parked is damaged: there is no lookahead {facts.lookahead!r}.")
        if not is_seed(facts.seed):
            raise ParkedError(f"what was parked is damaged: there is no seed {facts.seed!r}.")
        if type(facts.frames) is not int or not 0 <= facts.frames < _ENDLESS:
            raise ParkedError(f"what was parked is damaged: {facts.frames!r} is no number of frames.")
        slot = self.open(facts.lookahead, facts.seed)
        try:
            self._fill(slot, parked)
        except (KeyError, RuntimeError, ValueError) as error:
            self.close(slot)
            raise ParkedError("what was parked is damaged; begin a new stream.") from error
        return slot

    @torch.inference_mode()
    def _fill(self, slot: int, parked: Parked) -> None:
        like = self.state.save(slot)
        self.state.load(slot, {name: _fit(parked.tensors[f"state.{name}"], x) for name, x in like.items()})
        held = self.taken[slot]
        held.frames = parked.facts.frames
        if (heard := parked.tensors.get("heard")) is not None:
            blocks = min(heard.shape[:1].numel(), HOPS - 1)
            held.heard = list(_fit(heard, torch.empty(blocks, 2, PREDICTIVE_HOP)).numpy())

    def _owner(self, slot: int) -> Hashable:
        return self, slot

    def _facts(self, lookahead: int, seed: int | None, frames: int) -> Facts:
        settings = self._parts.settings
        return Facts(self.model, settings.render, ",".join(settings.decodes), lookahead, seed, frames)

    @cached_property
    def model(self) -> str:
        """What tells the net from others; takes as long as reading all of its weights."""
        return fingerprint(self._parts.net)


def is_seed(seed: object) -> bool:
    """Whether a stream can be drawn with ``seed``: a 64-bit number, or None."""
    return seed is None or (isinstance(seed, int) and -(2**63) <= seed < 2**63)


def _table(state: State) -> Tensor:
    temporal = state.child("net").child("lm").child("temporal")
    assert isinstance(temporal, PagedState)
    return temporal.table


def _fit(saved: Tensor, like: Tensor) -> Tensor:
    """Raises ValueError for what cannot be the state of a stream."""
    saved = complex_again(saved, like)
    if saved.dtype != like.dtype:
        raise ValueError(f"{saved.dtype} is not {like.dtype}")
    if saved.dtype == torch.int64 and not ((saved >= 0) & (saved < _ENDLESS)).all():
        raise ValueError("a count that no stream has")
    if saved.shape != like.shape:
        raise ValueError(f"{tuple(saved.shape)} is not {tuple(like.shape)}")
    return saved.to(like.device)
