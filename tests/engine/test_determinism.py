"""Same seed, same input, same bytes; and the tokens of a stream alone, whatever its blocks and its neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.audio.blocks import to_stereo
from streamsep.config import LOOKAHEADS
from streamsep.engine.batch import Batch
from streamsep.engine.levels import Level
from streamsep.engine.separator import Separator
from tests.engine.helpers import Player, feed, stack
from tests.sounds import tune

Sound = np.ndarray
SEEDS = (None, None, 5, 6)


def alone(separator: Separator, song: Sound, lookahead: int, seed: int | None) -> tuple[Sound, Sound]:
    """Stems and tokens of a song pushed whole."""
    stream = separator.stream(48_000, 2, lookahead, seed, keep_codes=True)
    return feed(stream, song, [10**6]), np.stack(stream.codes)


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("seed", [None, 3])
def test_random_blocks_give_the_offline_tokens_and_sound(
    separator: Separator, lookahead: int, seed: int | None
) -> None:
    song = tune(0.7, 48_000)
    stems, codes = alone(separator, song, lookahead, seed)
    assert np.array_equal(stems, stack(separator.separate(song, 48_000, lookahead, seed)))
    rng = np.random.default_rng(lookahead + 7)
    for _ in range(4):
        stream = separator.stream(48_000, 2, lookahead, seed, keep_codes=True)
        streamed = feed(stream, song, rng.integers(1, 8_193, 100).tolist())
        assert np.array_equal(stream.codes, codes)
        assert np.array_equal(streamed, stems)


@pytest.mark.parametrize("exact", [True, False])
def test_a_slot_of_eight_gives_the_tokens_and_sound_of_a_stream_alone(separator: Separator, exact: bool) -> None:
    batch, rng = Batch(separator.net, 8, exact=exact), np.random.default_rng(2)
    plans = [(LOOKAHEADS[n % 4], SEEDS[n // 2]) for n in range(8)]
    songs = [tune(0.5 + 0.02 * n, 48_000, seed=n) for n in range(8)]
    players = [Player(batch, song, 48_000, *plan) for song, plan in zip(songs, plans, strict=True)]
    codes: dict[int, list[Sound]] = {player.slot: [] for player in players}
    while due := [player for player in players if player.lane.due()]:
        due = [player for player in due if rng.random() < 0.8] or due
        out = batch.tick({player.slot: to_stereo(player.lane.next()) for player in due})
        for player in due:
            player.give(out[player.slot])
            if (told := batch.codes(player.slot)) is not None:
                codes[player.slot].append(told)
    for player, song, (lookahead, seed) in zip(players, songs, plans, strict=True):
        stems, expected = alone(separator, song, lookahead, seed)
        mine = np.stack(codes[player.slot])[max(0, lookahead) :][: len(expected)]
        assert np.array_equal(mine, expected)
        np.testing.assert_allclose(player.stems(), stems, atol=0 if exact else 1e-5)


def test_in_the_exact_mode_nothing_that_others_do_changes_a_byte(separator: Separator) -> None:
    song = tune(0.6, 48_000)

    def play(rng: np.random.Generator | None) -> bytes:
        """With ``rng`` among neighbours that come, go, draw tokens, are parked and are given less."""
        batch = Batch(separator.net, 4, exact=True)
        other: Player | None = None
        if rng is not None:
            batch.open(0)  # the player's slot is another one now
        player = Player(batch, song, 48_000, 0, seed=9)
        while player.lane.due():
            if rng is not None:
                if other is None:
                    other = Player(
                        batch, tune(2.0, 48_000, seed=int(rng.integers(9))), 48_000, 0, SEEDS[rng.integers(4)]
                    )
                elif rng.random() < 0.3:
                    parked = batch.save(other.slot)
                    batch.close(other.slot)
                    other.slot = batch.load(parked)
                elif rng.random() < 0.2:
                    batch.close(other.slot)
                    other = None
                if other is not None and rng.random() < 0.5:
                    level = list(Level)[rng.integers(3)]
                    batch.tick({other.slot: to_stereo(other.lane.next())}, level)
            blocks = {player.slot: to_stereo(player.lane.next())}
            if other is not None:
                blocks[other.slot] = to_stereo(other.lane.next())
            player.give(batch.tick(blocks)[player.slot])
        return player.stems().tobytes()

    expected = stack(separator.separate(song, 48_000, seed=9)).tobytes()
    assert play(None) == expected
    for seed in range(3):
        assert play(np.random.default_rng(seed)) == expected
