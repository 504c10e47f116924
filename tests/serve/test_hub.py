"""Who may come in, as far as that follows from what the engine tells."""

from __future__ import annotations

from dataclasses import replace

from streamsep.protocol import Hello
from streamsep.serve.engine import Engine
from streamsep.serve.hub import Hub, Refused
from streamsep.serve.metrics import Metrics
from streamsep.serve.traffic import EngineOptions, Round, Started
from tests.serve.running import HELLO, run


class Visitor:
    async def leave(self) -> None:
        pass


def opened(limit: int = 3, measured: bool = True) -> tuple[Engine, Hub]:
    engine = Engine(EngineOptions())
    engine.started = Started("small", limit, (1.0,))
    return engine, Hub(engine, Metrics(), None, measured=measured)


async def comes_in(hub: Hub, hello: Hello = HELLO) -> bool:
    try:
        await hub.enter(hello, Visitor())
    except Refused:
        return False
    return True


def test_an_overload_that_is_over_keeps_nobody_out() -> None:
    engine, hub = opened()

    async def talk() -> None:
        session, _ = await hub.enter(HELLO, Visitor())
        for number in range(200):
            engine.on_round(Round(batch=1, late={session.id: number}))
        assert not await comes_in(hub)
        engine.on_round(Round())  # the session pauses: the engine has nothing to do, and says so once a second
        assert not await comes_in(hub)
        for _ in range(9):
            engine.on_round(Round())
        assert await comes_in(hub)

    run(talk())


def test_a_new_engine_counts_on_from_the_old_one() -> None:
    engine, hub = opened()

    async def talk() -> None:
        session, _ = await hub.enter(HELLO, Visitor())
        for number in range(1, 201):
            engine.on_round(Round(batch=1, late={session.id: number}, fallbacks={session.id: 2 * number}))
        engine.on_restart()
        for number in range(1, 4):
            engine.on_round(Round(batch=1, late={session.id: number}, fallbacks={session.id: 2 * number}))
        assert (session.stats().late, session.stats().fallbacks) == (203, 406)
        assert b"streamsep_late_frames_total 203.0" in hub.metrics.text()
        assert not await comes_in(hub)  # every frame is late, whichever engine computes it

    run(talk())


def test_a_session_in_hops_takes_the_places_of_several_where_they_were_measured() -> None:
    hops = replace(HELLO, lookahead=-1)

    async def talk() -> None:
        _, hub = opened(limit=5)
        assert [await comes_in(hub, hops) for _ in range(3)] == [True, True, False]
        _, hub = opened(limit=5)
        assert [await comes_in(hub, hello) for hello in (HELLO, hops, HELLO, HELLO)] == [True, True, True, False]
        _, hub = opened(limit=1)
        assert [await comes_in(hub, hops) for _ in range(2)] == [True, False]
        _, hub = opened(limit=3, measured=False)  # as the operator wants it
        assert [await comes_in(hub, hops) for _ in range(4)] == [True, True, True, False]

    run(talk())
