"""All sessions of an engine: commands in, events out. Knows voices; who computes what and when is the engine's."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from streamsep.choices import MASK
from streamsep.config import FRAME
from streamsep.engine.batch import Batch
from streamsep.engine.deadlines import Limits
from streamsep.engine.levels import Level
from streamsep.engine.scheduler import Scheduler as Engine
from streamsep.engine.separator import Separator
from streamsep.engine.settings import Settings
from streamsep.serve.traffic import Change, Event, Failed, Round, Spec
from streamsep.serve.voice import PATIENCE, Voice

_WARM, _MEASURED = 25, 15  # frames
TOGETHER = 0.03  # seconds for which a live frame may wait for others, where there are too many to go one by one


class Scheduler:
    """``slots`` sessions at most. ``command`` takes what the server asks, ``round`` computes what is due.

    ``few``: so many live sessions have each frame computed at once. With more, unless each is computed alone anyway,
    frames wait for one another, so that steps are full and the processor has a rest.
    """

    def __init__(
        self,
        separator: Separator,
        slots: int,
        exact: bool = False,
        hurry: bool = True,
        few: float = float("inf"),
    ) -> None:
        limits = Limits(patience=PATIENCE) if hurry else None
        self._engine = Engine(separator.net, slots, separator.decode, exact, limits)
        self._voices: dict[str, Voice] = {}
        self._engine.prepare(MASK)  # the usual render's places are there before anybody comes
        self._told: dict[str, list[Event]] = {}
        self._few = float("inf") if exact else few

    def command(self, name: str, session: str, *values: Any) -> None:
        """``open`` Spec, ``audio`` bytes, ``silence`` count, ``mark`` id, ``flush``, ``set`` Change, ``close``."""
        try:
            if name == "open":
                self._open(session, values[0])
            elif name == "close":
                self._close(session)
            elif session in self._voices:
                self._ask(self._voices[session], name, *values)
        except Exception as error:  # a session must not end the others
            self._fail(session, error)

    def busy(self) -> bool:
        """Whether there is something to compute or to tell."""
        return bool(self._told) or self._engine.due() or any(voice.waiting() for voice in self._voices.values())

    def wait(self, now: float) -> float:
        """Seconds until the next round should be: 0 when it should be now, infinite when nothing is there to do."""
        if not self.busy():
            return float("inf")
        voices = self._voices.values()
        live, ready = sum(voice.live for voice in voices), [voice for voice in voices if voice.due()]
        if live <= self._few or len(ready) >= live or not ready or self._told or any(v.waiting() for v in voices):
            return 0.0
        if any(not voice.live or voice.lookahead < 0 for voice in ready):  # files fill the time; hops are short
            return 0.0
        return max(0.0, TOGETHER - max(voice.waited(now) for voice in ready))

    def nudge(self) -> None:
        """Called while there is nothing to do, this keeps a GPU's clocks up."""
        self._engine.nudge()

    def round(self) -> Round:
        """One step of every session that has a tick due."""
        tick = self._engine.tick()
        out = Round(tick.seconds, len(tick.levels))
        for session, level in tick.levels.items():
            voice = self._voices[session]
            voice.fallbacks += level > Level.FULL
            out.late[session], out.fallbacks[session] = voice.late, voice.fallbacks
        for session, error in tick.failed.items():
            self._fail(session, error)
        for session, voice in self._voices.items():
            if events := voice.events():
                self._told.setdefault(session, []).extend(events)
        out.events, self._told = self._told, {}
        return out

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
        voice = Voice(spec, time.monotonic())
        self._engine.join(session, voice, spec.render)
        self._voices[session] = voice

    def _close(self, session: str) -> None:
        self._voices.pop(session, None)
        self._engine.leave(session)
        self._told.pop(session, None)

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
        batch = Batch(separator.net, count, Settings(decodes=(separator.decode,)), exact=exact)
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
