"""Few streams in many slots: what nobody needs is not computed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from torch import Tensor

from streamsep.config import FRAME
from streamsep.engine.batch import Batch
from streamsep.engine.scheduler import Scheduler
from streamsep.engine.separator import Separator
from streamsep.engine.settings import Settings
from streamsep.model.net import Net
from tests.engine.helpers import Player, play, stack
from tests.engine.stage import Clock
from tests.engine.stage import Player as Source
from tests.sounds import tune


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Of every step of a net that was taken."""
    taken: list[int] = []
    real = Net.step

    def step(net: Net, spectrum: Tensor, *arguments: object, **options: object) -> object:
        taken.append(len(spectrum))
        return real(net, spectrum, *arguments, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Net, "step", step)
    yield taken


@pytest.mark.parametrize(
    ("ready", "steps"),
    [([0, 7], [1, 1]), ([0, 1], [2]), ([0, 4], [5]), ([0, 5], [1, 1]), ([0, 1, 6, 7], [2, 2]), (range(8), [8])],
)
def test_slots_far_apart_do_not_pay_for_those_between(
    separator: Separator, rows: list[int], ready: list[int], steps: list[int]
) -> None:
    batch = Batch(separator.net, 8)
    slots = [batch.open(0) for _ in range(8)]
    batch.tick({slots[index]: np.zeros((2, FRAME), np.float32) for index in ready})
    assert rows == steps


def test_slots_far_apart_sound_as_alone(separator: Separator) -> None:
    batch = Batch(separator.net, 12)
    for _ in range(12):
        batch.open(0)
    slots = (0, 1, 6, 11)
    for slot in slots:
        batch.close(slot)
    songs = [tune(0.3, 48_000, seed=number) for number in range(len(slots))]
    players = [Player(batch, song, 48_000, lookahead) for song, lookahead in zip(songs, (0, -1, 2, -1), strict=True)]
    assert tuple(player.slot for player in players) == slots
    play(batch, players, np.random.default_rng(0))
    for player, song, lookahead in zip(players, songs, (0, -1, 2, -1), strict=True):
        expected = stack(separator.separate(song, 48_000, lookahead))
        np.testing.assert_allclose(player.stems(), expected, atol=1e-5)


@pytest.mark.parametrize("render", ["mask", "codec"])
@pytest.mark.parametrize(("lookahead", "seed"), [(0, None), (-1, 3), (2, 3)])
def test_the_last_stream_moves_down_and_goes_on(
    separator: Separator, rows: list[int], render: str, lookahead: int, seed: int | None
) -> None:
    batch = Batch(separator.net, 8, Settings(render), graphs=True)
    others = [batch.open(0) for _ in range(5)]
    song = tune(0.5, 48_000)
    player = Player(batch, song, 48_000, lookahead, seed)
    for _ in range(7):
        player.give(batch.tick({player.slot: player.lane.next()})[player.slot])
    assert batch.compact() is None
    for slot in others[1:]:
        batch.close(slot)
    assert batch.compact() == (player.slot, 1)
    player.slot = 1
    assert batch.compact() is None
    rows.clear()
    play(batch, [player])
    assert set(rows) == {2}
    alone = Separator(separator.net, render).separate(song, 48_000, lookahead, seed)
    np.testing.assert_allclose(player.stems(), stack(alone), atol=1e-5)


def test_masks_that_wait_for_their_hop_are_a_streams_own(separator: Separator) -> None:
    batch = Batch(separator.net, 2, graphs=True)
    songs = [tune(0.3, 48_000, seed=number) for number in range(2)]
    first, second = (Player(batch, song, 48_000, -1) for song in songs)
    for _ in range(2):  # frames end at other ticks than the neighbour's
        first.give(batch.tick({first.slot: first.lane.next()})[first.slot])
    play(batch, [first, second])
    for player, song in zip((first, second), songs, strict=True):
        np.testing.assert_allclose(player.stems(), stack(separator.separate(song, 48_000, -1)), atol=1e-5)


def test_sessions_of_another_render_stay_where_they_are(separator: Separator) -> None:
    scheduler, clock = Scheduler(separator.net, 8, graphs=True), Clock()
    for name in ("codec 0", "codec 1", "codec 2"):
        scheduler.join(name, Source(clock, 0.0, live=False), "codec")
    for name in ("0", "1", "2"):
        scheduler.join(name, Source(clock, 0.0, live=False))
    scheduler.tick()
    assert [scheduler._sessions[name].slot for name in ("codec 2", "2")] == [2, 2]
    for name in ("0", "1"):
        scheduler.leave(name)
    scheduler.nudge()
    assert [scheduler._sessions[name].slot for name in ("codec 2", "2")] == [2, 0]


def test_sessions_follow_their_streams(separator: Separator) -> None:
    scheduler, clock = Scheduler(separator.net, 8, graphs=True), Clock()
    sources = {str(number): Source(clock, 0.0, live=False) for number in range(6)}
    for name, source in sources.items():
        scheduler.join(name, source)
    scheduler.tick()
    for name in ("0", "1", "2", "4"):
        scheduler.leave(name)
    for _ in range(3):
        scheduler.nudge()
    assert scheduler._sessions["5"].slot == 0 and scheduler._sessions["3"].slot == 1
    scheduler.tick()
    assert sources["3"].frames == sources["5"].frames == 2
    scheduler.leave("5")
    scheduler.join("6", Source(clock, 0.0, live=False))
    assert scheduler._sessions["6"].slot == 0
