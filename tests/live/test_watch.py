"""What is said and done when the machine does not keep up. Counts are turned by hand: no model, no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamsep.live.core import Core, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.status import READY
from streamsep.live.watch import Watch

SECOND = 48_000


class Days:
    """Spans of five seconds, one after another."""

    def __init__(self, core: Core) -> None:
        self.core, self.watch = core, Watch(core)
        self.now = self.watch._at

    def span(self, missing: float = 0.0, hurried: int = 0) -> str | None:
        """``missing`` seconds were filled by the mixture, ``hurried`` frames separated by the guide head alone."""
        self.core.mixer.counts.fallback_samples += round(missing * SECOND)
        self.core.status.add("hurried", hurried)
        self.now += 5.1
        return self.watch.check(self.now)


@pytest.fixture
def days() -> Iterator[Days]:
    with Core(ModelOptions(), Gains("all")) as core:
        core.status.set_state(0, READY)
        yield Days(core)


def test_a_good_day_is_silent(days: Days) -> None:
    assert [days.span(0.01) for _ in range(5)] == [None] * 5


def test_late_frames_get_more_time_and_then_advice_once_a_minute(days: Days) -> None:
    first = days.core.margin
    lines = [days.span(1.0) for _ in range(30)]
    assert days.core.margin == first + 80
    assert [("sound comes 20 ms later" in line) for line in lines[:4] if line] == [True] * 4
    advice = [line for line in lines[4:] if line]
    assert len(advice) == 3 and all("what helps" in line for line in advice)
    assert all(line.count("\n") == 0 for line in [*lines[:4], *advice] if line)


def test_a_hurry_is_told_when_it_begins_and_when_it_is_over(days: Days) -> None:
    said = [days.span(hurried=count) for count in (0, 40, 125, 20, 0, 0)]
    assert [line is None for line in said] == [True, False, True, True, False, True]
    assert "guide head alone" in str(said[1]) and "whole model separates again" in str(said[4])


def test_a_model_that_is_away_is_no_slow_machine(days: Days) -> None:
    days.core.status.set_state(0, 0)
    assert days.watch.check(days.now) is None
    days.core.status.set_state(0, READY)
    assert days.span(4.0) is None
    days.core.supervisor.restarts += 1  # a spare took over
    assert days.watch.check(days.now) is None
    assert days.span(0.5) is None
    assert days.core.margin == ModelOptions.margin
