"""Ten thousand random joins, leaves, pauses and parks: no leak, no double use, nothing of another session heard.

Longer: ``python -m tests.soak engine pages --operations 1000000``.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.engine.world import KINDS, World


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def _some(self, index: int) -> str:
        names = list(self.world.players)
        return names[index % len(names)]

    @rule(kind=st.integers(0, len(KINDS) - 1), number=st.integers(0, 2))
    def join(self, kind: int, number: int) -> None:
        self.world.join(kind, number)

    @precondition(lambda self: self.world.players)
    @rule(index=st.integers(0, 7))
    def leave(self, index: int) -> None:
        self.world.leave(self._some(index))

    @precondition(lambda self: self.world.players)
    @rule(index=st.integers(0, 7))
    def pause(self, index: int) -> None:
        self.world.pause(self._some(index))

    @precondition(lambda self: self.world.players)
    @rule(index=st.integers(0, 7))
    def park(self, index: int) -> None:
        self.world.park(self._some(index))

    @precondition(lambda self: self.world.players)
    @rule(index=st.integers(0, 7))
    def resume(self, index: int) -> None:
        self.world.resume(self._some(index))

    @precondition(lambda self: self.world.players)
    @rule(index=st.integers(0, 7))
    def move(self, index: int) -> None:
        self.world.move(self._some(index))

    @precondition(lambda self: self.world.players)
    @rule(choice=st.integers(1, 255))
    def tick(self, choice: int) -> None:
        self.world.tick(choice)

    @invariant()
    def all_is_well(self) -> None:
        self.world.check()


Machine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
TestPagesAndSessions = Machine.TestCase
