"""Streams that share steps: the same stems as alone, whoever comes and goes beside them."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.audio.blocks import to_stereo
from streamsep.config import LOOKAHEADS, STEMS
from streamsep.engine.batch import Batch
from streamsep.engine.lane import Lane
from streamsep.engine.runner import Settings
from streamsep.engine.separator import Separator
from tests.engine.helpers import stack
from tests.sounds import tune

Sound = np.ndarray


class Player:
    """One stream of a batch: pushes its song in blocks, keeps its stems."""

    def __init__(self, batch: Batch, sound: Sound, rate: int, lookahead: int) -> None:
        self.slot = batch.open(lookahead)
        self.lane = Lane(Settings(batch.render, lookahead=lookahead), rate, sound.shape[0])
        self.channels = sound.shape[0]
        self.parts: list[Sound] = []
        self.lane.push(sound)
        self.lane.end()

    def give(self, stems: Sound) -> None:
        sides = stems.mean(1, keepdims=True, dtype=np.float32) if self.channels == 1 else stems
        self.lane.give(sides.reshape(-1, sides.shape[-1]))
        self.parts.append(self.lane.take())

    def stems(self) -> Sound:
        joined = np.concatenate(self.parts, axis=1)
        return joined.reshape(len(STEMS), self.channels, -1)


def play(batch: Batch, players: list[Player], rng: np.random.Generator | None = None) -> None:
    """Tick until all are through; with ``rng`` only a random choice of those due at a time."""
    while due := [player for player in players if player.lane.due()]:
        if rng is not None:
            due = [player for player in due if rng.random() < 0.7] or due[:1]
        out = batch.tick({player.slot: to_stereo(player.lane.next()) for player in due})
        for player in due:
            player.give(out[player.slot])


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("render", ["mask", "codec"])
def test_a_batch_gives_what_a_stream_gives(separator: Separator, render: str, exact: bool) -> None:
    alone = Separator(separator.net, render=render)
    batch = Batch(separator.net, 8, render, exact=exact)
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
        chosen = {hurried.slot} if 3 < count < 6 else set()
        out = batch.tick({player.slot: player.lane.next() for player in (calm, hurried)}, chosen)
        for player in (calm, hurried):
            player.give(out[player.slot])
    np.testing.assert_allclose(calm.stems(), stack(separator.separate(song, 48_000)), atol=1e-5)
    np.testing.assert_allclose(hurried.stems().sum(0), song, atol=1e-4)
    assert not np.allclose(hurried.stems(), calm.stems(), atol=1e-3)


def test_a_full_batch_says_so(separator: Separator) -> None:
    batch = Batch(separator.net, 1)
    slot = batch.open(0)
    with pytest.raises(IndexError):
        batch.open(0)
    batch.close(slot)
    assert batch.open(2) == slot
