"""All sessions of a server: who may come in, who may come back, and whose the engine's answers are.

Knows sessions and the engine; of a connection only that it can be told to leave.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
from collections.abc import Mapping
from typing import Protocol

from prometheus_client import Counter

from streamsep.engine.clock import in_hops
from streamsep.protocol import Error, Hello
from streamsep.serve.engine import Engine
from streamsep.serve.metrics import Metrics
from streamsep.serve.session import Session, home_of
from streamsep.serve.traffic import Round

log = logging.getLogger("streamsep.serve")

RETRY = 10.0  # seconds after which a client that was refused may try again
ELSEWHERE = 0.1  # seconds after which a client that came to the wrong server may try again
LATE = 0.02  # part of the last second's frames that were late, above which nobody else is let in
HOPPING = 2.5  # places of a session in hops of 10 ms: these seldom fall together, so little is computed at once
CALM = 0.5  # part of that share which is left after a heartbeat of an engine that had nothing to do


class Refused(Exception):
    """A fatal error and the close code that goes with it."""

    def __init__(
        self, code: str, sentence: str, close: int = 4000, retry_after: float | None = None, free: bool = False
    ) -> None:
        super().__init__(sentence)
        self.error = Error(code, sentence, True, retry_after)
        self.close = close
        self.free = free  # whether the session ends with the connection


class Guest(Protocol):
    """A connection, as the hub sees it."""

    async def leave(self) -> None:
        """Let go of the session, which goes on elsewhere; returns when that is done."""
        ...


class Hub:
    """``limit`` sessions at most, each kept ``patience`` seconds after its connection was lost.

    ``measured``: the limit is what the machine could do at the start, at lookahead 0; it may be slower by now.
    ``name``: of this hub among those behind one address; it ends the keys of its sessions.
    """

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        token: str | None,
        patience: float = 30.0,
        measured: bool = False,
        name: str = "",
    ) -> None:
        self.name = name
        self.engine, self.metrics = engine, metrics
        self.draining = asyncio.Event()
        self.frame_seconds = 0.0  # a moving average
        self.measured = measured
        self._token, self._patience = token, patience
        self._late = 0.0  # part of the frames that was late, a moving average
        self._sessions: dict[str, Session] = {}
        self._guests: dict[str, Guest] = {}  # by session
        self._leaving: dict[str, asyncio.TimerHandle] = {}  # sessions that wait for a resume
        engine.on_round, engine.on_restart = self._round, self._restart

    @property
    def limit(self) -> int:
        return 0 if self.engine.started is None else self.engine.started.limit

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    async def enter(self, hello: Hello, guest: Guest) -> tuple[Session, int]:
        """The session of a client that says hello, and how many samples of stems a resume has lost. Raises Refused."""
        self._check_token(hello.token)
        if self.draining.is_set():
            raise Refused("shutdown", "the server is going down; try another one.", 1001, RETRY)
        if hello.resume is not None:
            return await self._resume(hello, guest)
        if self.engine.started is None:
            raise Refused("full", "the engine is being started again; try again soon.", 1013, RETRY)
        if self._full(hello):
            wait = self._next_free()
            sentence = f"all {self.limit} places are taken; try again in {wait:.0f} seconds."
            raise Refused("full", sentence, 1013, wait)
        if self.measured and self._sessions and self._late > LATE:
            sentence = f"the machine is too slow for more than its {len(self._sessions)} sessions now; try again."
            raise Refused("full", sentence, 1013, RETRY)
        session = Session(hello, self.engine.send, self.name)
        self._sessions[session.id] = session
        self._guests[session.id] = guest
        self.metrics.admitted.inc()
        self._count()
        return session, 0

    def _full(self, hello: Hello) -> bool:
        """Whether no place is free. A limit that was measured is one of whole frames; a single session always fits."""
        hops = in_hops(hello.lookahead, hello.render)
        if not self.measured or not self._sessions:
            return len(self._sessions) >= self.limit
        taken = sum(HOPPING if session.hops else 1 for session in self._sessions.values())
        return taken + (HOPPING if hops else 1) > self.limit

    def part(self, session: Session, guest: Guest, free: bool) -> None:
        """The connection of ``session`` has ended: forget the session now, or after a while."""
        if self._guests.get(session.id) is not guest:
            return  # it goes on in another connection
        del self._guests[session.id]
        if free or session.failed:
            self._forget(session)
        else:
            loop = asyncio.get_running_loop()
            self._leaving[session.id] = loop.call_later(self._patience, self._expire, session)

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        self._count()
        self.metrics.queue.set(sum(s.queue / s.rate for s in self._sessions.values()))
        self.metrics.outbox.set(sum(s.outbox.backlog / s.rate for s in self._sessions.values()))

    def _check_token(self, given: str | None) -> None:
        if self._token is None:
            return
        # Digests are of equal length, so that comparing takes the same time whatever was given.
        mine, theirs = (hashlib.sha256(text.encode()).digest() for text in (self._token, given or ""))
        if not hmac.compare_digest(mine, theirs):
            raise Refused("auth", "the token is missing or wrong.", 1008)

    async def _resume(self, hello: Hello, guest: Guest) -> tuple[Session, int]:
        key = hello.resume or ""
        session = next((s for s in self._sessions.values() if s.opens(key)), None)
        if session is None and self.name and home_of(key) not in ("", self.name):
            sentence = "the session is on another server behind this address; try again, or begin a new session."
            raise Refused("resume", sentence, retry_after=ELSEWHERE)
        if session is None:
            raise Refused("resume", "this key is unknown, used or expired; begin a new session.")
        if not session.fits(hello):
            raise Refused("resume", "rate, channels and format must be those of the session that goes on.")
        if hello.received is not None and hello.received > session.outbox.sent:
            raise Refused("resume", f"'received' lies past {session.outbox.sent}, which is all that was ever sent.")
        if handle := self._leaving.pop(session.id, None):
            handle.cancel()
        old, self._guests[session.id] = self._guests.get(session.id), guest
        if old is not None:
            await old.leave()
        session.renew_key(key)  # now that the old connection cannot speak any more
        lost = session.outbox.rewind(session.outbox.sent if hello.received is None else hello.received)
        self.metrics.resumed.inc()
        return session, lost

    def _next_free(self) -> float:
        """Seconds until a session that nobody came back to is forgotten, or a guess."""
        loop = asyncio.get_running_loop()
        waits = [handle.when() - loop.time() for handle in self._leaving.values()]
        return float(math.ceil(max(1.0, min([RETRY, *waits]))))

    def _expire(self, session: Session) -> None:
        log.info("session %s was not resumed", session.id, extra={"event": "expired", "session": session.id})
        self._leaving.pop(session.id, None)
        self._forget(session)

    def _forget(self, session: Session) -> None:
        del self._sessions[session.id]
        self.engine.send("close", session.id)
        self._count()

    def _count(self) -> None:
        self.metrics.sessions.set(len(self._sessions))
        self.metrics.limit.set(self.limit)

    def _round(self, round: Round) -> None:
        late = self._count_up("late", round.late, self.metrics.late)
        self._count_up("fallbacks", round.fallbacks, self.metrics.fallbacks)
        if round.batch:
            self.metrics.frame.observe(round.seconds)
            self.metrics.batch.observe(round.batch)
            self.frame_seconds += 0.05 * (round.seconds - self.frame_seconds)
            self._late += 0.02 * (late / round.batch - self._late)
        elif not round.events:
            self._late *= CALM
        for id, events in round.events.items():
            if session := self._sessions.get(id):
                try:
                    for event in events:
                        self.metrics.dropped.inc(session.event(event) / session.rate)
                except Exception:  # a session must not end the others
                    log.exception("session %s failed", id, extra={"event": "fault", "session": id})
                    session.give_up("the server gave the session up; begin a new one.")
                    self.engine.send("close", id)

    def _count_up(self, name: str, counts: Mapping[str, int], counter: Counter) -> int:
        new = sum(session.count(name, count) for id, count in counts.items() if (session := self._sessions.get(id)))
        counter.inc(new)
        return new

    def _restart(self) -> None:
        self.metrics.restarts.inc()
        for session in self._sessions.values():
            session.restart()
