"""Pacing and bookkeeping of the player, with streams whose answer is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from streamsep.config import STEMS
from streamsep.demo.display import level_db, meter
from streamsep.demo.player import Tick, play
from tests.sounds import tune

RATE, BLOCK = 48_000, 1_920


class Delay:
    """A quarter of the input as every stem, ``latency`` samples late and then aligned, as the engine's streams do."""

    latency = 500

    def __init__(self, work: float = 0.0) -> None:
        self.work = work
        self.reset()

    def reset(self) -> None:
        self._held = np.zeros((2, self.latency), np.float32)
        self._drop = self.latency

    def push(self, block: np.ndarray) -> dict[str, np.ndarray]:
        time.sleep(self.work)
        joined = np.concatenate([self._held, block], axis=1)
        self._held, out = joined[:, block.shape[1] :], joined[:, : block.shape[1]]
        skip = min(self._drop, out.shape[1])
        self._drop -= skip
        return dict.fromkeys(STEMS, out[:, skip:] / 4)

    def flush(self) -> dict[str, np.ndarray]:
        out = self._held
        self.reset()
        return dict.fromkeys(STEMS, out / 4)


def test_stems_come_back_whole_and_aligned_after_the_warm_up() -> None:
    song = tune(0.5, RATE)[:, :-7]
    ticks: list[Tick] = []
    played = play(Delay(), song, RATE, BLOCK, paced=False, heard=ticks.append)
    for stem in STEMS:
        np.testing.assert_array_equal(4 * played.stems[stem], song)
    assert len(played.frame_ms) == len(ticks) == -(-song.shape[1] // BLOCK)
    assert ticks[-1].played == pytest.approx(song.shape[1] / RATE)


def test_a_paced_song_takes_as_long_as_it_plays() -> None:
    song = tune(0.4, RATE)
    paced = play(Delay(work=0.01), song, RATE, BLOCK, warm_up=0)
    assert 0.4 <= paced.wall_seconds < 0.8
    assert all(10 <= milliseconds < 40 for milliseconds in sorted(paced.frame_ms)[:-2])
    assert play(Delay(), song, RATE, BLOCK, paced=False).wall_seconds < 0.3


def test_no_block_is_pushed_before_it_could_have_been_heard() -> None:
    begin = time.perf_counter()
    early: list[float] = []
    song = tune(0.2, RATE)
    play(Delay(), song, RATE, BLOCK, heard=lambda t: early.append(t.played - time.perf_counter() + begin), warm_up=0)
    assert max(early) <= 0


def test_meters_cover_their_range() -> None:
    assert level_db(np.zeros((2, 0), np.float32)) == level_db(np.zeros((2, 5), np.float32)) == -60
    assert level_db(np.full((2, 100), 0.1, np.float32)) == pytest.approx(-20, abs=1e-4)
    assert [len(meter(level)[0]) for level in (-99.0, -60.0, -30.0, 0.0, 6.0)] == [0, 0, 16, 32, 32]
    assert all(len("".join(meter(level))) == 32 for level in (-61.0, -12.3, 3.0))
