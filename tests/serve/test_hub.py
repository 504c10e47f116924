"""Who may come in, as far as that follows from what the engine tells."""

from __future__ import annotations

from streamsep.serve.engine import Engine
from streamsep.serve.hub import Hub, Refused
from streamsep.serve.metrics import Metrics
from streamsep.serve.traffic import EngineOptions, Round, Started
from tests.serve.running import HELLO, run


class Visitor:
    async def leave(self) -> None:
        pass


def test_an_overload_that_is_over_keeps_nobody_out() -> None:
    engine = Engine(EngineOptions())
    engine.started = Started("small", 3, (1.0,))
    hub = Hub(engine, Metrics(), None, measured=True)

    async def comes_in() -> bool:
        try:
            await hub.enter(HELLO, Visitor())
        except Refused:
            return False
        return True

    async def talk() -> None:
        session, _ = await hub.enter(HELLO, Visitor())
        for number in range(200):
            engine.on_round(Round(batch=1, late={session.id: number}))
        assert not await comes_in()
        engine.on_round(Round())  # the session pauses: the engine has nothing to do, and says so once a second
        assert not await comes_in()
        for _ in range(9):
            engine.on_round(Round())
        assert await comes_in()

    run(talk())
