"""Sessions over one model: they join, leave, pause and share steps. Knows sources of sound; no sockets, no devices.

Whenever it is called, ``tick`` takes one frame of every session that has one ready: each runs at its own phase, and
steps fill up by themselves as soon as there is more to do than one by one. A session has a slot and pages as long as it
is not parked; when a place is needed, the session that has been paused the longest is parked to host memory.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from streamsep.choices import FUSED, MASK, RENDERS
from streamsep.config import FRAME
from streamsep.engine.batch import Batch, Sound
from streamsep.engine.costs import Step
from streamsep.engine.deadlines import Limits
from streamsep.engine.levels import Level
from streamsep.engine.memory import Footprint
from streamsep.engine.pages import PagePool
from streamsep.engine.parked import Parked
from streamsep.engine.settings import Settings
from streamsep.engine.turns import Turns
from streamsep.errors import CapacityError, ParkedError
from streamsep.lm.pages import Pages
from streamsep.model.net import Net


class Source(Protocol):
    """Where a session's sound comes from and its stems go. ``renew``: the slot must forget its stream before the next
    frame, which has lookahead ``lookahead``; the scheduler clears it. Only what is ``live`` can be late.
    """

    renew: bool
    lookahead: int

    @property
    def live(self) -> bool: ...

    def due(self) -> bool:
        """Whether a frame is ready."""
        ...

    def behind(self, now: float) -> float:
        """Seconds since the frame that is ready was due."""
        ...

    def next(self) -> Sound:
        """That frame, [2, unit] at 48 kHz."""
        ...

    def give(self, stems: Sound, now: float) -> None:
        """Its stems, [S, 2, unit]."""
        ...


@dataclass
class _Session:
    source: Source
    render: str
    slot: int | None  # None: parked
    parked: Parked | None = None
    paused: float | None = None  # since when


@dataclass
class Tick:
    """What was computed: level by session, sessions that had to be given up and why, and the seconds it took."""

    levels: dict[str, Level] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    seconds: float = 0.0


class Scheduler:
    """``slots`` sessions of a render at most that are not parked.

    memory: bytes for places and pages of the mask render (places of the codec render come on top, once one is asked
        for); with fewer pages than slots need, pages are what admission looks at. As much as ``slots`` need when None.
    limits: when sessions are given less; never when None.
    graphs: see ``Batch``.
    """

    def __init__(
        self,
        net: Net,
        slots: int,
        decode: str = FUSED,
        exact: bool = False,
        limits: Limits | None = None,
        memory: int | None = None,
        poison: bool = False,
        graphs: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        footprint = Footprint.of(net)
        count = slots * footprint.ring if memory is None else footprint.pages(memory, slots)
        with torch.inference_mode():
            pages = Pages(net.config.lm, count, next(net.parameters()).device, poison)
        self.pool = PagePool(pages)
        self._net, self._slots, self._decode, self._exact, self._graphs = net, slots, decode, exact, graphs
        self._turns = None if limits is None else Turns(limits, self._steps, self._render_of)
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._batches: dict[str, Batch] = {}  # by render, made when first asked for

    def prepare(self, render: str) -> None:
        """Make the places of a render, which are else made when the first session asks for them, and touch them."""
        batch = self._batch(render)
        slot = batch.open(0)
        batch.tick({slot: np.zeros((2, FRAME), np.float32)})
        batch.close(slot)
        batch.record()

    def join(self, name: str, source: Source, render: str = MASK, seed: int | None = None) -> None:
        """Raises CapacityError when there is no place, nor anybody paused who could make one."""
        if name in self._sessions:
            raise ValueError(f"there is a session {name}")
        batch = self._batch(render)
        slot = self._placed(render, lambda: batch.open(source.lookahead, seed))
        source.renew = False
        self._sessions[name] = _Session(source, render, slot)

    def leave(self, name: str) -> None:
        """The session's place is free; nothing happens when it is unknown."""
        session = self._sessions.pop(name, None)
        if session is not None and session.slot is not None:
            self._batches[session.render].close(session.slot)
        if self._turns is not None:
            self._turns.forget(name)

    def pause(self, name: str) -> None:
        """The session stands still, and keeps its place until somebody else needs it."""
        session = self._sessions[name]
        if session.paused is None:
            session.paused = self._clock()

    def resume(self, name: str) -> None:
        """The session goes on with the bits that it would have had. Raises CapacityError when it has lost its place and
        there is no other.
        """
        session = self._sessions[name]
        if session.parked is not None:
            parked, batch = session.parked, self._batches[session.render]
            session.slot, session.parked = self._placed(session.render, lambda: batch.load(parked)), None
        session.paused = None

    def park(self, name: str) -> Parked:
        """Pause the session, move it to host memory and free its place; also returns what ``restore`` takes."""
        self.pause(name)
        session = self._sessions[name]
        if session.slot is not None:
            batch = self._batches[session.render]
            session.parked = batch.save(session.slot)
            batch.close(session.slot)
            session.slot = None
        assert session.parked is not None
        return session.parked

    def restore(self, name: str, source: Source, parked: Parked) -> None:
        """``join`` with a stream that was parked, here or by another engine with the same model; it goes on at once,
        unless ``source`` asks to ``renew``, as it does when its song was over.
        """
        if name in self._sessions:
            raise ValueError(f"there is a session {name}")
        render = parked.facts.render
        if render not in RENDERS:
            raise ParkedError(f"what was parked is damaged: there is no render '{render}'.")
        batch = self._batch(render)
        self._sessions[name] = _Session(source, render, self._placed(render, lambda: batch.load(parked)))

    def due(self) -> bool:
        """Whether there is anything to compute."""
        return any(session.paused is None and session.source.due() for session in self._sessions.values())

    def nudge(self) -> None:
        """Called while nothing is due, this keeps a GPU's clocks up and, session by session, its graphs as small as
        those who are there need; elsewhere it does nothing.
        """
        for render, batch in self._batches.items():
            if (moved := batch.compact()) is not None:
                before, after = moved
                for session in self._sessions.values():
                    if (session.render, session.slot) == (render, before):
                        session.slot = after
                        break
            batch.nudge()

    def tick(self) -> Tick:
        """One frame of every session that has one ready and its turn."""
        started = self._clock()
        tick = Tick()
        tick.levels = self._plan(started)
        groups: dict[tuple[str, Level], dict[str, _Session]] = defaultdict(dict)
        for name, level in tick.levels.items():
            session = self._sessions[name]
            groups[session.render, level][name] = session
        for (render, level), sessions in groups.items():
            self._step(self._batches[render], level, sessions, tick)
        tick.seconds = self._clock() - started
        return tick

    def _step(self, batch: Batch, level: Level, sessions: Mapping[str, _Session], tick: Tick) -> None:
        began = self._clock()
        blocks: dict[int, Sound] = {}
        for name, session in sessions.items():
            assert session.slot is not None
            if session.source.renew:
                batch.reset(session.slot, session.source.lookahead)
                session.source.renew = False
            try:
                block, shape = session.source.next(), (2, batch.unit(session.slot))
                if block.shape != shape:
                    raise ValueError(f"a frame of shape {block.shape} came where {shape} was due")
                blocks[session.slot] = block
            except Exception as error:  # a session must not end the others
                self._fail(name, error, tick)
        if not blocks:
            return
        stems = batch.tick(blocks, level)
        now = self._clock()
        if self._turns is not None:
            computed = [name for name, session in sessions.items() if session.slot in blocks]
            self._turns.learn(dict.fromkeys(computed, level), now - began)
        for name, session in sessions.items():
            if session.slot in stems and name in self._sessions:
                try:
                    session.source.give(stems[session.slot], now)
                except Exception as error:
                    self._fail(name, error, tick)

    def _plan(self, now: float) -> dict[str, Level]:
        """Who takes part, and how much is computed for each."""
        due = {name: s.source for name, s in self._sessions.items() if s.paused is None and s.source.due()}
        if self._turns is None:
            return dict.fromkeys(due, Level.FULL)
        behind = {name: max(0.0, source.behind(now)) for name, source in due.items() if source.live}
        hurry = any(session.source.live and session.paused is None for session in self._sessions.values())
        return self._turns.plan(behind, [name for name in due if name not in behind], hurry, now)

    def _render_of(self, name: str) -> str:
        return self._sessions[name].render

    def _steps(self, levels: Mapping[str, Level]) -> Counter[Step]:
        """What a tick of these sessions consists of."""
        slots: dict[tuple[str, Level], list[int]] = defaultdict(list)
        for name, level in levels.items():
            session = self._sessions[name]
            assert session.slot is not None
            slots[session.render, level].append(session.slot)
        steps: Counter[Step] = Counter()
        for (render, level), group in slots.items():
            for rows, count in self._batches[render].steps(group, level).items():
                steps[Step(render, level, rows)] += count
        return steps

    def _fail(self, name: str, error: Exception, tick: Tick) -> None:
        tick.failed[name] = error
        tick.levels.pop(name, None)
        self.leave(name)

    def _batch(self, render: str) -> Batch:
        if render not in self._batches:
            settings = Settings(render, (self._decode,))
            self._batches[render] = Batch(self._net, self._slots, settings, self._exact, self.pool, self._graphs)
        return self._batches[render]

    def _placed(self, render: str, take: Callable[[], int]) -> int:
        """What ``take`` takes, after parking as many paused sessions as it needs."""
        while True:
            try:
                return take()
            except CapacityError:
                full = self._batches[render].taken == self._slots
                idle = [
                    (session.paused, name)
                    for name, session in self._sessions.items()
                    if session.paused is not None
                    and session.slot is not None
                    and (session.render == render or not full)
                ]
                if not idle:
                    raise
                self.park(min(idle)[1])
