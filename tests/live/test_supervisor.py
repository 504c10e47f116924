"""Who separates after a death, with processes that the test ends: no model, no time."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamsep.errors import StreamsepError
from streamsep.live.core import Core, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.status import READY

SECOND = 48_000


class Process:
    """Lives until it is killed."""

    refused = False  # by the system

    def __init__(self, args: tuple[Any, int], **_: object) -> None:
        self.slot = args[1]
        self.exitcode: int | None = None
        self.pid = 1

    def start(self) -> None:
        if Process.refused:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    def join(self, seconds: float) -> None: ...

    def is_alive(self) -> bool:
        return self.exitcode is None

    def kill(self) -> None:
        self.exitcode = -9


class Stage:
    """A supervisor whose clock the test turns; ``made`` are its processes so far."""

    def __init__(self, core: Core) -> None:
        self.core, self.now, self.made = core, 100.0, []
        core.supervisor._context = SimpleNamespace(Process=self._make)  # pyright: ignore[reportAttributeAccessIssue]
        core.supervisor._launch(0, self.now)
        core.status.set_state(0, READY)

    def _make(self, **values: Any) -> Process:
        self.made.append(Process(**values))
        return self.made[-1]

    def pass_time(self, seconds: float, heard: bool = False) -> list[str]:
        """Look every 0.1 s; what was said."""
        said = []
        for _ in range(round(10 * seconds)):
            self.now += 0.1
            if heard:
                self.core.source.write(np.zeros((2, SECOND // 10), np.float32))
            said.append(self.core.supervisor.check(self.now))
        return [line for line in said if line]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Core(ModelOptions(), Gains("all")) as core:
        yield Stage(core)


def test_the_spare_of_a_stuck_process_has_its_own_time(stage: Stage) -> None:
    stage.pass_time(0.2)
    stage.core.status.set_state(1, READY)
    stage.core.status.record(1, 1)
    (line,) = stage.pass_time(4, heard=True)
    assert "its spare takes over" in line
    assert not stage.made[0].is_alive() and stage.made[1].is_alive()
    assert stage.core.supervisor.restarts == 1


def test_spares_that_die_young_are_started_ever_later_and_told_once(stage: Stage) -> None:
    said: list[str] = []
    for _ in range(100):
        said += stage.pass_time(3)
        if stage.made[-1].slot == 1:
            stage.made[-1].kill()
    assert len(stage.made) - 1 <= 14  # 300 seconds: pauses of 1, 3, 7, 15 and then 30
    assert len(said) == 1 and "the spare model process ended (killed by SIGKILL)" in said[0]
    assert stage.core.supervisor.restarts == 0


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether the machine has room for no process more."""
    return partial(monkeypatch.setattr, Process, "refused")


def test_a_spare_that_cannot_be_started_is_tried_ever_later(stage: Stage, full: Callable[[bool], None]) -> None:
    full(True)
    assert stage.pass_time(60) == []
    assert 2 < len(stage.made) <= 7
    full(False)
    assert stage.pass_time(31) == []
    stage.core.status.set_state(1, READY)
    assert stage.core.supervisor.spare_ready and stage.core.supervisor.restarts == 0


def test_a_restart_that_the_system_refuses_is_tried_again(stage: Stage, full: Callable[[bool], None]) -> None:
    full(True)
    stage.made[0].exitcode = -40  # a signal of real time has no name
    (line,) = stage.pass_time(20)
    assert "killed by signal 40" in line and "the model restarts" in line
    full(False)
    stage.pass_time(31)
    stage.core.status.set_state(0, READY)
    (line,) = stage.pass_time(1)
    assert "is back" in line and stage.core.supervisor.restarts == 1


def test_a_model_process_that_cannot_be_started_at_first_is_told(stage: Stage, full: Callable[[bool], None]) -> None:
    full(True)
    with Core(ModelOptions(), Gains("all")) as core:
        core.supervisor._context = stage.core.supervisor._context
        with pytest.raises(StreamsepError, match="could not be loaded"):
            core.start()


def test_a_spare_that_lived_long_is_replaced_at_once(stage: Stage) -> None:
    stage.pass_time(20)
    stage.made[1].kill()
    stage.pass_time(0.3)
    assert len(stage.made) == 3 and stage.made[2].is_alive()


def test_both_dead_the_active_one_is_started_first(stage: Stage) -> None:
    stage.pass_time(20)
    for process in stage.made:
        process.kill()
    said = stage.pass_time(1)
    assert ["spare model process" in line for line in said] == [True, False] and "the model restarts" in said[1]
    assert [process.slot for process in stage.made] == [0, 1, 0]
    stage.core.status.set_state(0, READY)
    assert ["is back" in line for line in stage.pass_time(1)] == [True]
    assert [process.slot for process in stage.made] == [0, 1, 0, 1]
