"""The engine on a GPU, frames as CUDA graphs: the stems of the CPU, every slot for itself. Skipped without a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from streamsep.config import FRAME, HOP, LOOKAHEADS
from streamsep.engine.batch import Batch
from streamsep.engine.levels import Level
from streamsep.engine.separator import Separator, load
from streamsep.engine.settings import Settings
from tests.engine.helpers import Player, play, stack
from tests.sounds import tune

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


@pytest.fixture(scope="module")
def on_gpu() -> Separator:
    return load("tiny", device="cuda")


@pytest.fixture(scope="module")
def on_cpu() -> Separator:
    return load("tiny")


@pytest.mark.parametrize("render", ["mask", "codec"])
def test_stems_are_those_of_the_cpu(model: Path, render: str) -> None:
    alone = load(model, render=render)
    batch = Batch(load(model, device="cuda", render=render).net, 6, Settings(render))
    plans = [(tune(0.5, 48_000, seed=seed), k) for seed, k in enumerate(LOOKAHEADS)]
    players = [Player(batch, song, 48_000, k) for song, k in plans]
    play(batch, players, np.random.default_rng(0))
    for player, (song, k) in zip(players, plans, strict=True):
        np.testing.assert_allclose(player.stems(), stack(alone.separate(song, 48_000, k)), atol=1e-4)


def test_the_shipped_model_separates_as_on_the_cpu(on_gpu: Separator, on_cpu: Separator) -> None:
    song = tune(3.0, 48_000, seed=5)
    batch = Batch(on_gpu.net, 1)
    player = Player(batch, song, 48_000, 0)
    play(batch, [player])
    expected = stack(on_cpu.separate(song, 48_000))
    error = np.square(player.stems() - expected).sum() / np.square(expected).sum()
    assert 10 * np.log10(error) < -40  # the CPU's language model has its weights in bytes


def test_exact_has_the_bits_of_a_stream_in_every_slot(on_gpu: Separator) -> None:
    song = tune(0.5, 48_000, seed=6)
    batch = Batch(on_gpu.net, 4, exact=True)
    players = [Player(batch, song, 48_000, 0) for _ in range(4)]
    play(batch, players)
    for player in players:
        assert np.array_equal(player.stems(), stack(on_gpu.separate(song, 48_000)))


def test_neighbours_change_no_bit(on_gpu: Separator) -> None:
    rng = np.random.default_rng(1)
    frames = 0.1 * rng.standard_normal((12, 2, FRAME)).astype(np.float32)
    sounds = []
    for others in (False, True):
        batch = Batch(on_gpu.net, 8)
        slots = [batch.open(0) for _ in range(8)]
        found = []
        for frame in frames:
            noise = {slot: rng.standard_normal((2, FRAME)).astype(np.float32) for slot in slots if slot != slots[7]}
            found.append(batch.tick({slots[7]: frame, **(noise if others else {})})[slots[7]])
        sounds.append(np.stack(found))
    assert np.array_equal(*sounds)


def test_a_parked_stream_goes_on_with_its_bits(on_gpu: Separator) -> None:
    frames = 0.1 * np.random.default_rng(2).standard_normal((20, 2, FRAME)).astype(np.float32)
    batch = Batch(on_gpu.net, 2)
    slot = batch.open(1)
    straight = np.stack([batch.tick({slot: frame})[slot] for frame in frames])
    batch.close(slot)
    slot = batch.open(1)
    first = [batch.tick({slot: frame})[slot] for frame in frames[:9]]
    parked = batch.save(slot)
    batch.close(slot)
    slot = batch.load(parked)
    assert np.array_equal(np.stack(first + [batch.tick({slot: frame})[slot] for frame in frames[9:]]), straight)


def test_every_level_is_recorded_and_sums_to_the_mixture(on_gpu: Separator) -> None:
    batch = Batch(on_gpu.net, 3)
    batch.record()
    slot = batch.open(0)
    song = tune(1.0, 48_000, seed=3)[:, : 24 * FRAME]
    parts = []
    for number in range(24):
        block = song[:, number * FRAME : (number + 1) * FRAME]
        parts.append(batch.tick({slot: block}, list(Level)[number % len(Level)])[slot])
        batch.nudge()
    sound = np.concatenate(parts, -1).sum(0)
    np.testing.assert_allclose(sound[:, HOP:], song[:, :-HOP], atol=1e-4)


def test_ticks_allocate_nothing_on_the_gpu(on_gpu: Separator) -> None:
    batch = Batch(on_gpu.net, 4)
    slots = [batch.open(0) for _ in range(4)]
    blocks = {slot: np.zeros((2, FRAME), np.float32) for slot in slots}
    for _ in range(5):
        batch.tick(blocks)
    before = torch.cuda.memory_allocated()
    for _ in range(50):
        batch.tick(blocks)
    assert torch.cuda.memory_allocated() == before
