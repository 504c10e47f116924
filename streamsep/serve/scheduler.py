"""All sessions of an engine and the steps they share. Knows voices and batches; knows no processes and no sockets."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from streamsep.config import FRAME
from streamsep.engine.batch import Batch, Sound
from streamsep.engine.runner import MASK
from streamsep.engine.separator import Separator
from streamsep.serve.traffic import Change, Event, Failed, Round, Spec
from streamsep.serve.voice import Voice

_WARM, _MEASURED = 25, 15  # frames


class Scheduler:
    """``slots`` sessions at most. ``command`` takes what the server asks, ``round`` computes what is due.

    Every session that has a frame ready takes part in the next step, so that steps fill up by themselves as soon as
    there is more to do than one by one.
    """

    def __init__(self, separator: Separator, slots: int, exact: bool = False, hurry: bool = True) -> None:
        self._separator, self._slots, self._exact, self._hurry = separator, slots, exact, hurry
        self._voices: dict[str, Voice] = {}
        self._places: dict[str, int] = {}
        # By render. The usual one is made and warm before anybody comes, the other when first asked for.
        self._batches = {MASK: Batch(separator.net, slots, MASK, separator.decode, exact=exact)}
        _taken(self._batches[MASK], 1, 1)
        self._told: dict[str, list[Event]] = {}

    def command(self, name: str, session: str, *values: Any) -> None:
        """``open`` Spec, ``audio`` bytes, ``silence`` count, ``mark`` id, ``flush``, ``set`` Change, ``close``."""
        try:
            if name == "open":
                self._open(session, values[0])
            elif name == "close":
                self._close(session)
            elif session in self._voices:
                self._ask(self._voices[session], name, *values)
                self._renew(session)
        except Exception as error:  # a session must not end the others
            self._fail(session, error)

    def busy(self) -> bool:
        """Whether there is something to compute or to tell."""
        return bool(self._told) or any(voice.due() or voice.waiting() for voice in self._voices.values())

    def round(self) -> Round:
        """One step of every session that has a tick due."""
        started = time.monotonic()
        due = {session: voice for session, voice in self._voices.items() if voice.due()}
        out = Round(batch=len(due))
        for render in {voice.spec.render for voice in due.values()}:
            self._step({s: voice for s, voice in due.items() if voice.spec.render == render}, started)
        out.seconds = time.monotonic() - started
        for session in due:
            if voice := self._voices.get(session):
                out.late[session], out.fallbacks[session] = voice.late, voice.fallbacks
        for session, voice in self._voices.items():
            if events := voice.events():
                self._told.setdefault(session, []).extend(events)
        out.events, self._told = self._told, {}
        return out

    def _step(self, voices: dict[str, Voice], now: float) -> None:
        batch = self._batches[next(iter(voices.values())).spec.render]
        blocks: dict[int, Sound] = {}
        hurried: set[int] = set()
        for session, voice in voices.items():
            slot = self._places[session]
            if self._hurry and voice.hurried(now):
                hurried.add(slot)
                voice.fallbacks += 1
            blocks[slot] = voice.next()
        stems = batch.tick(blocks, hurried)
        done = time.monotonic()
        for session, voice in voices.items():
            try:
                voice.give(stems[self._places[session]], done)
                self._renew(session)
            except Exception as error:
                self._fail(session, error)

    def _ask(self, voice: Voice, name: str, *values: Any) -> None:
        now = time.monotonic()
        if name == "audio":
            voice.audio(values[0], now)
        elif name == "silence":
            voice.silence(values[0], now)
        elif name == "mark":
            voice.mark(values[0])
        elif name == "flush":
            voice.flush()
        elif name == "set":
            change: Change = values[0]
            voice.change(change)
        else:
            raise ValueError(f"unknown command {name}")

    def _open(self, session: str, spec: Spec) -> None:
        if spec.render not in self._batches:
            separator = self._separator
            self._batches[spec.render] = Batch(
                separator.net, self._slots, spec.render, separator.decode, exact=self._exact
            )
        self._places[session] = self._batches[spec.render].open(spec.lookahead)
        self._voices[session] = Voice(spec, time.monotonic())

    def _close(self, session: str) -> None:
        voice = self._voices.pop(session, None)
        if voice is not None:
            self._batches[voice.spec.render].close(self._places.pop(session))
        self._told.pop(session, None)

    def _renew(self, session: str) -> None:
        voice = self._voices[session]
        if voice.renew:
            self._batches[voice.spec.render].reset(self._places[session], voice.lookahead)
            voice.renew = False

    def _fail(self, session: str, error: Exception) -> None:
        self._close(session)
        self._told[session] = [Failed(f"the engine gave the session up: {type(error).__name__}: {error}"[:400])]


def measure(separator: Separator, slots: int, exact: bool, enough: float) -> list[float]:
    """Seconds that a frame of 1, 2, 4, … and ``slots`` sessions takes: four of five frames take no longer.

    Stops early at a number that takes longer than ``enough``.
    """
    times: list[float] = []
    count = 1
    while count <= slots:
        batch = Batch(separator.net, count, MASK, separator.decode, exact=exact)
        taken = _taken(batch, _WARM if count == 1 else 3, _MEASURED)
        times.append(float(np.quantile(taken, 0.8)))
        if times[-1] > enough:
            break
        count *= 2
    return times


def _taken(batch: Batch, warm: int, ticks: int) -> list[float]:
    """Seconds of each of ``ticks`` steps of a full batch, after ``warm`` that are not counted."""
    places = [batch.open(0) for _ in range(batch.slots)]
    rng = np.random.default_rng(0)
    taken: list[float] = []
    for _ in range(warm + ticks):
        block = (0.1 * rng.standard_normal((2, FRAME))).astype(np.float32)
        started = time.perf_counter()
        batch.tick({place: block for place in places})
        taken.append(time.perf_counter() - started)
    for place in places:
        batch.close(place)
    return taken[warm:]
