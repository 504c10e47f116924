"""Overload on a simulated clock: who is given less, in which order, and that all come back. The net is real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from streamsep.engine.costs import Costs, Step
from streamsep.engine.deadlines import Deadlines
from streamsep.engine.levels import Level
from streamsep.engine.separator import Separator
from streamsep.engine.turns import Turns
from tests.engine.stage import FRAME, LIMITS, Player, Sound, Stage


@pytest.fixture
def stage(separator: Separator, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(separator.net, monkeypatch)


@pytest.fixture
def recorded(separator: Separator, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """On graphs, where a step costs the same for few streams as for many."""
    return Stage(separator.net, monkeypatch, graphs=True)


def test_with_time_enough_nobody_gives_way(stage: Stage) -> None:
    stage.costs(0.009, 0.002)
    stage.join(4)
    for counts in stage.run(1).values():
        assert set(counts) == {Level.FULL}
    assert max(player.worst for player in stage.players.values()) < LIMITS.patience


def test_overload_takes_the_guide_head_and_ends_in_full(stage: Stage) -> None:
    stage.join(4)
    stage.costs(0.009, 0.002)
    stage.run(1)
    stage.costs(0.015, 0.003)  # 60 ms of work a frame
    given = stage.run(2)
    assert any(counts[Level.LIGHT] for counts in given.values())
    assert any(counts[Level.FULL] > 40 for counts in given.values())  # only as many as must be
    assert not any(counts[Level.DRY] for counts in given.values())
    assert max(player.worst for player in stage.players.values()) < LIMITS.light + 2 * FRAME
    stage.costs(0.009, 0.002)
    stage.run(LIMITS.calmest + 0.6)
    for counts in stage.run(0.4).values():
        assert set(counts) == {Level.FULL}
    assert max(player.worst for player in stage.players.values()) < LIMITS.patience


def test_a_worse_overload_takes_the_net_and_ends_in_full(stage: Stage) -> None:
    stage.join(4)
    stage.costs(0.05, 0.03)  # even the guide heads are three times too slow
    given = stage.run(3)
    assert any(counts[Level.LIGHT] for counts in given.values())
    assert any(counts[Level.DRY] for counts in given.values())
    assert max(player.worst for player in stage.players.values()) < LIMITS.dry + 0.2
    assert all(abs(player.behind(stage.clock.now)) < 1 for player in stage.players.values())  # the pace is kept
    stage.costs(0.009, 0.002)
    stage.run(2 * LIMITS.calmest + 0.6)
    for counts in stage.run(0.4).values():
        assert set(counts) == {Level.FULL}


def test_a_lasting_overload_is_no_flutter(stage: Stage) -> None:
    stage.join(3)
    stage.costs(0.02, 0.003)
    stage.run(4)
    steps = 0
    before: dict[str, Level] = {}
    until = stage.clock.now + 5
    while stage.clock.now < until:
        if not stage.scheduler.due():
            stage.clock.now += 0.001
            continue
        for name, level in stage.scheduler.tick().levels.items():
            steps += before.get(name, level) != level
            before[name] = level
    assert steps <= 3 * 2 * (5 / LIMITS.calmest + 1)


def test_one_hitch_costs_no_more_than_a_moment(stage: Stage) -> None:
    stage.join(2)
    stage.costs(0.009, 0.002)
    stage.run(1)
    stage.clock.now += 0.3
    given = stage.run(0.3)
    assert not any(counts[Level.DRY] for counts in given.values())
    stage.run(1)
    for counts in stage.run(0.4).values():
        assert set(counts) == {Level.FULL}


def test_without_limits_nobody_ever_gives_way(separator: Separator, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(separator.net, monkeypatch, limits=None)
    stage.costs(0.05, 0.002)
    stage.join(2)
    for counts in stage.run(1).values():
        assert set(counts) == {Level.FULL}


def test_files_take_what_live_sound_leaves(stage: Stage) -> None:
    stage.costs(0.005, 0.002)
    stage.join(2)
    stage.join(6, live=False)  # all at once they would take 30 ms of every 40
    given = stage.run(2)
    files = [counts[Level.FULL] for name, counts in given.items() if name.startswith("file")]
    for name, counts in given.items():
        assert set(counts) == {Level.FULL}
        if name.startswith("live"):
            assert stage.players[name].worst < LIMITS.patience + 2 * 0.005
            assert counts[Level.FULL] >= 2 / FRAME - 3
    assert min(files) > 20 and max(files) - min(files) <= 2  # and share it evenly


def each(levels: Mapping[str, Level]) -> float:
    """Seconds of a tick where every stream takes its own."""
    return sum(0.02 if level == Level.FULL else 0.001 for level in levels.values())


def test_the_furthest_behind_gives_way_first() -> None:
    levels = Deadlines(LIMITS).plan({"a": 0.12, "b": 0.15, "c": 0.01}, 0.0, each)
    assert levels == {"a": Level.FULL, "b": Level.LIGHT, "c": Level.FULL}


def test_each_fall_doubles_the_wait_for_the_way_back() -> None:
    deadlines, now, waits = Deadlines(LIMITS), 0.0, []
    for _ in range(4):
        assert deadlines.plan({"a": 0.3}, now, each) == {"a": Level.LIGHT}
        fell = now
        while deadlines.plan({"a": 0.0}, now, each) != {"a": Level.FULL}:
            now += 0.01
        waits.append(now - fell)
    assert waits == pytest.approx([LIMITS.calm, 2 * LIMITS.calm, LIMITS.calmest, LIMITS.calmest], abs=0.02)
    deadlines.plan({"a": 0.0}, now + LIMITS.calmest, each)  # long on time: all is forgotten
    now += LIMITS.calmest
    deadlines.plan({"a": 0.3}, now, each)
    assert deadlines.plan({"a": 0.0}, now + LIMITS.calm + 0.01, each) == {"a": Level.FULL}


def whole(steps: Mapping[str, tuple[float, float, float]]) -> Callable[[Mapping[str, Level]], float]:
    """Seconds of a tick where a step costs the same for few streams: by kind, the first letter, and level."""

    def cost(levels: Mapping[str, Level]) -> float:
        return sum(steps[kind][level] for kind, level in {(name[0], level) for name, level in levels.items()})

    return cost


def test_nobody_gives_way_where_that_saves_nothing() -> None:
    cost = whole({"m": (0.03, 0.02, 0.003)})
    assert Deadlines(LIMITS).plan({"m1": 0.19, "m2": 0.0}, 0.0, cost) == {"m1": Level.FULL, "m2": Level.FULL}
    assert Deadlines(LIMITS).plan({"m1": 0.19, "m2": 0.1}, 0.0, cost) == {"m1": Level.LIGHT, "m2": Level.LIGHT}


def test_a_kind_that_saves_nothing_does_not_keep_another_from_it() -> None:
    cost = whole({"m": (0.03, 0.02, 0.003), "c": (0.03, 0.012, 0.01)})
    behind = {"m1": 0.19, "m2": 0.01, "c1": 0.18, "c2": 0.18}
    levels = Deadlines(LIMITS).plan(behind, 0.0, cost, lambda name: name[0])
    assert levels == {"m1": Level.FULL, "m2": Level.FULL, "c1": Level.LIGHT, "c2": Level.LIGHT}


def test_what_steps_cost_is_learned_from_those_that_were_taken() -> None:
    costs, small, large = Costs(), Step("mask", Level.FULL, 1), Step("mask", Level.FULL, 512)
    costs.learn(Counter({small: 2}), 0.02)
    assert costs.of(Counter({small: 3})) == pytest.approx(0.03)
    assert costs.of(Counter({large: 1})) == pytest.approx(0.01)  # the nearest that is known
    assert costs.of(Counter({Step("codec", Level.FULL, 1): 1})) == 0
    costs.learn(Counter({small: 1}), 0.06)
    assert costs.of(Counter({small: 1})) == pytest.approx(0.02)  # one that took long is not believed at once


def test_files_take_turns_and_never_starve() -> None:
    def steps(levels: Mapping[str, Level]) -> Counter[Step]:
        return Counter({Step("mask", Level.FULL, 1): len(levels)} if levels else {})

    turns = Turns(LIMITS, steps, lambda name: "mask")
    turns.learn({"a": Level.FULL}, 0.7 * LIMITS.patience)
    given = [set(turns.plan({}, ["a", "b"], True, 0.0)) for _ in range(6)]
    assert given[:2] in ([{"a"}, {"b"}], [{"b"}, {"a"}]) and given[2:] == 2 * given[:2]
    turns.learn({"a": Level.FULL}, 100.0)
    assert all(len(turns.plan({}, ["a", "b"], True, 0.0)) == 1 for _ in range(4))


def test_a_session_that_fails_fails_alone(stage: Stage) -> None:
    stage.costs(0.001, 0.001)
    stage.join(3)
    bad = list(stage.players)[1]

    def broken() -> Sound:
        raise RuntimeError("no sound")

    stage.players[bad].next = broken
    stage.clock.now += 0.02
    tick = stage.scheduler.tick()
    assert set(tick.failed) == {bad} and set(tick.levels) == set(stage.players) - {bad}
    stage.players.pop(bad)
    assert all(counts for counts in stage.run(0.2).values())
    stage.scheduler.join(bad, Player(stage.clock, 0.0))


def test_where_a_step_costs_the_same_for_few_a_stall_makes_nobody_give_way(recorded: Stage) -> None:
    recorded.costs(0.022, 0.015, 0.003)
    recorded.join(8)
    recorded.run(0.5)
    recorded.clock.now += 0.15
    given = recorded.run(1)
    assert all(set(counts) == {Level.FULL} for counts in given.values())
    recorded.run(0.1)
    assert max(player.worst for player in recorded.players.values()) < LIMITS.patience


def test_where_a_step_costs_the_same_for_few_all_give_way_and_come_back(recorded: Stage) -> None:
    recorded.costs(0.05, 0.015, 0.003)
    recorded.join(8)
    given = recorded.run(2)
    assert all(counts[Level.LIGHT] and not counts[Level.DRY] for counts in given.values())
    assert max(player.worst for player in recorded.players.values()) < LIMITS.light + 2 * FRAME
    recorded.costs(0.022, 0.015, 0.003)
    recorded.run(LIMITS.calmest + 0.6)
    assert all(set(counts) == {Level.FULL} for counts in recorded.run(0.4).values())


def test_files_beside_live_sound_take_the_rest_of_a_graph(recorded: Stage) -> None:
    recorded.costs(0.022, 0.015)
    recorded.join(1)
    recorded.join(7, live=False)
    given = recorded.run(1)
    assert all(counts[Level.FULL] > 20 for counts in given.values())  # all at once, as if they were one
