"""Streams that share steps: the same stems as alone, whoever comes and goes beside them."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.config import LOOKAHEADS
from streamsep.engine.batch import Batch
from streamsep.engine.levels import Level
from streamsep.engine.separator import Separator
from streamsep.engine.settings import Settings
from streamsep.errors import CapacityError
from tests.engine.helpers import Player, play, stack
from tests.sounds import tune


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("render", ["mask", "codec"])
def test_a_batch_gives_what_a_stream_gives(separator: Separator, render: str, exact: bool) -> None:
    alone = Separator(separator.net, render=render)
    batch = Batch(separator.net, 8, Settings(render), exact=exact)
    plans = [(48_000, 2, k) for k in LOOKAHEADS] + [(44_100, 1, 0), (44_100, 2, -1)]
    songs = [tune(0.4, rate, channels, seed) for seed, (rate, channels, _) in enumerate(plans)]
    players = [Player(batch, song, plan[0], plan[2]) for song, plan in zip(songs, plans, strict=True)]
    play(batch, players, np.random.default_rng(0))
    for player, song, (rate, _, lookahead) in zip(players, songs, plans, strict=True):
        expected = stack(alone.separate(song, rate, lookahead))
        if exact:
            np.testing.assert_allclose(player.stems(), expected, atol=0)
        else:
            np.testing.assert_allclose(player.stems(), expected, atol=1e-5)


def test_one_stream_alone_has_the_bits_of_a_stream(separator: Separator) -> None:
    batch, song = Batch(separator.net, 8), tune(0.4, 44_100)
    player = Player(batch, song, 44_100, 1)
    play(batch, [player])
    assert np.array_equal(player.stems(), stack(separator.separate(song, 44_100, 1)))


def test_a_slot_that_is_used_again_remembers_nothing(separator: Separator) -> None:
    for lookahead in LOOKAHEADS:
        batch = Batch(separator.net, 2)
        first = Player(batch, tune(0.3, 48_000), 48_000, lookahead)
        play(batch, [first])
        batch.close(first.slot)
        again = Player(batch, tune(0.3, 48_000, seed=1), 48_000, lookahead)
        assert again.slot == first.slot
        play(batch, [again])
        assert np.array_equal(again.stems(), stack(separator.separate(tune(0.3, 48_000, seed=1), 48_000, lookahead)))


def test_neighbours_that_come_and_go_are_not_heard(separator: Separator) -> None:
    rng = np.random.default_rng(3)
    batch = Batch(separator.net, 4, exact=True)
    song = tune(1.2, 48_000)
    player = Player(batch, song, 48_000, 0)
    others: list[Player] = []
    while player.lane.due():
        if batch.taken < batch.slots and rng.random() < 0.5:
            others.append(
                Player(batch, tune(0.5, 48_000, seed=int(rng.integers(99))), 48_000, int(rng.integers(-1, 3)))
            )
        if others and rng.random() < 0.2:
            batch.close(others.pop(int(rng.integers(len(others)))).slot)
        due = [other for other in [player, *others] if other.lane.due()]
        out = batch.tick({other.slot: other.lane.next() for other in due})
        for other in due:
            other.give(out[other.slot])
    assert np.array_equal(player.stems(), stack(separator.separate(song, 48_000)))


def test_a_hurried_stream_still_sums_to_its_mixture(separator: Separator) -> None:
    batch, song = Batch(separator.net, 2), tune(0.5, 48_000)
    calm, hurried = (Player(batch, song, 48_000, 0) for _ in range(2))
    count = 0
    while calm.lane.due():
        count += 1
        for player, level in ((calm, Level.FULL), (hurried, Level.LIGHT if 3 < count < 6 else Level.FULL)):
            player.give(batch.tick({player.slot: player.lane.next()}, level)[player.slot])
    np.testing.assert_allclose(calm.stems(), stack(separator.separate(song, 48_000)), atol=1e-5)
    np.testing.assert_allclose(hurried.stems().sum(0), song, atol=1e-4)
    assert not np.allclose(hurried.stems(), calm.stems(), atol=1e-3)


def test_a_full_batch_says_so(separator: Separator) -> None:
    batch = Batch(separator.net, 1)
    slot = batch.open(0)
    with pytest.raises(CapacityError, match="all 1 places"):
        batch.open(0)
    batch.close(slot)
    assert batch.open(2) == slot
