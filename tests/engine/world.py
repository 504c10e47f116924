"""A scheduler under random joins, leaves, pauses and parks, and all that must hold after each of them.

Every session plays one of a few songs whose stems are known; freed pages are NaN. A page that is leaked, used twice or
read by another session shows as a count that is off or as a bit that is wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from streamsep.engine.batch import Batch
from streamsep.engine.memory import Footprint
from streamsep.engine.parked import Parked
from streamsep.engine.scheduler import Scheduler
from streamsep.engine.settings import Settings
from streamsep.errors import CapacityError
from streamsep.lm.pages import NOBODY, PagedState
from streamsep.model.net import Net
from tests.model.small import SMALL, small_net

Sound = np.ndarray
SLOTS, STREAMS = 4, 3  # places of a render, and streams that pages are for
FRAMES = 14  # of a song: more than two windows
KINDS = [("mask", -1), ("mask", 0), ("mask", 2), ("codec", 1)]


@cache
def net() -> Net:
    small = small_net()
    small.select_kernels("cpu")
    return small


@cache
def song(number: int, unit: int) -> list[Sound]:
    rng = np.random.default_rng(number)
    sound = (0.3 * rng.standard_normal((2, 1_920 * FRAMES))).astype(np.float32)
    return [np.ascontiguousarray(block) for block in np.split(sound, 1_920 * FRAMES // unit, axis=1)]


def unit_of(render: str, lookahead: int) -> int:
    return 480 if lookahead < 0 and render == "mask" else 1_920


@cache
def stems_of(number: int, render: str, lookahead: int) -> list[Sound]:
    """The same song with nobody else around."""
    batch = Batch(net(), 1, Settings(render))
    slot = batch.open(lookahead)
    return [batch.tick({slot: block})[slot] for block in song(number, unit_of(render, lookahead))]


@dataclass
class Player:
    """A source that begins its song again when it is over, and knows what it must be given."""

    number: int
    render: str
    lookahead: int
    live = False
    renew = False
    ready = False
    at = 0
    wrong = 0

    def due(self) -> bool:
        return self.ready

    def behind(self, now: float) -> float:
        return 0.0

    def next(self) -> Sound:
        self.ready = False
        return song(self.number, unit_of(self.render, self.lookahead))[self.at]

    def give(self, stems: Sound, now: float) -> None:
        expected = stems_of(self.number, self.render, self.lookahead)
        self.wrong += not np.array_equal(stems, expected[self.at])
        self.at += 1
        if self.at == len(expected):
            self.at, self.renew = 0, True


class World:
    """``counts``: what has happened so far."""

    def __init__(self) -> None:
        of = Footprint.of(net())
        memory = SLOTS * of.slot + (1 + STREAMS * of.ring + of.ring - 1) * of.page
        self.scheduler = Scheduler(net(), SLOTS, exact=True, memory=memory, poison=True)
        self.players: dict[str, Player] = {}
        self.waiting: set[str] = set()  # paused, in a slot or parked
        self.parked: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._names = 0

    @property
    def full(self) -> bool:
        """Whether nobody can come in: all pages are taken, by sessions that play."""
        return len(self.players) - len(self.waiting) >= STREAMS

    def join(self, kind: int, number: int) -> None:
        render, lookahead = KINDS[kind]
        player = Player(number, render, lookahead)
        name = self._name()
        if self.full:
            with pytest.raises(CapacityError):
                self.scheduler.join(name, player, render)
            self.counts["refused"] += 1
            return
        self.scheduler.join(name, player, render)
        self.players[name] = player
        self.counts["join"] += 1

    def leave(self, name: str) -> None:
        self.scheduler.leave(name)
        del self.players[name]
        self.waiting.discard(name)
        self.counts["leave"] += 1

    def pause(self, name: str) -> None:
        self.scheduler.pause(name)
        self.waiting.add(name)
        self.counts["pause"] += 1

    def park(self, name: str) -> Parked:
        parked = self.scheduler.park(name)
        assert all(tensor.isfinite().all() for tensor in parked.tensors.values())
        self.waiting.add(name)
        self.counts["park"] += 1
        return parked

    def resume(self, name: str) -> None:
        if name in self.waiting and self.full and self._slot(name) is None:
            with pytest.raises(CapacityError):
                self.scheduler.resume(name)
            self.counts["refused"] += 1
            return
        self.scheduler.resume(name)
        self.waiting.discard(name)
        self.counts["resume"] += 1

    def move(self, name: str) -> None:
        """Out of the engine and in again, as another session."""
        player, parked = self.players[name], self.park(name)
        self.leave(name)
        if self.full:
            with pytest.raises(CapacityError):
                self.scheduler.restore(self._name(), player, parked)
            return
        again = self._name()
        self.scheduler.restore(again, player, parked)
        self.players[again] = player
        self.counts["move"] += 1

    def tick(self, choice: int) -> None:
        for index, player in enumerate(self.players.values()):
            player.ready = bool(choice >> index & 1)
        playing = {name for name, p in self.players.items() if p.ready and name not in self.waiting}
        tick = self.scheduler.tick()
        assert set(tick.levels) == playing and not tick.failed
        self.counts["frames"] += len(playing)

    def check(self) -> None:
        """No leak, no double use, no reader of what is another's."""
        for player in self.players.values():
            assert not player.wrong
        pool, pages = self.scheduler.pool, self.scheduler.pool.pages
        store = np.stack([pages._keys.numpy(), pages._values.numpy()])  # [2, layers, pages, rows, heads, head_dim]
        owned: list[int] = []
        for batch in self.scheduler._batches.values():
            slots = batch._slots
            temporal = slots.state.child("net").child("lm").child("temporal")
            assert isinstance(temporal, PagedState)
            positions, tables = temporal["position"].tolist(), temporal.table.tolist()
            for slot in range(slots.count):
                mine = pool.owned((slots, slot))
                assert tables[slot] == (mine or [NOBODY] * pages.ring)
                assert bool(mine) == (slot in slots.taken)
                owned += mine
                if mine:
                    _check_rows(store[:, :, mine], positions[slot])
        assert len(owned) == len(set(owned)) and NOBODY not in owned
        assert pool.free + len(owned) == pages.count
        free = sorted(set(range(pages.count + 1)) - set(owned))
        assert np.isnan(store[:, :, free]).all()
        assert len(owned) == pages.ring * sum(self._slot(name) is not None for name in self.players)

    def _slot(self, name: str) -> int | None:
        return self.scheduler._sessions[name].slot

    def _name(self) -> str:
        self._names += 1
        return f"session {self._names}"


def _check_rows(store: Sound, position: int) -> None:
    """What was written is finite, the rest is nobody's leavings: poison, or the zeros of a parked stream."""
    rows = store.reshape(*store.shape[:2], -1, *store.shape[-2:])
    written = min(position, SMALL.lm.window)
    assert np.isfinite(rows[:, :, :written]).all() and not np.nan_to_num(rows[:, :, written:]).any()
