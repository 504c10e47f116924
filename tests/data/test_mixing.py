"""Mixing: a function of seed and step, stems that sum to what was in the pool, chances as configured."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from streamsep.config import FRAME
from streamsep.data.augment import comb, drive, roughen
from streamsep.data.mixing import MixingConfig, MixingDataset
from streamsep.data.pool import write_song
from streamsep.errors import OptionError

Sound = NDArray[np.float32]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, stems: Sound) -> Path:
    """Three composed songs and a recorded one, told apart by their level."""
    root = tmp_path_factory.mktemp("pool")
    active = {"vocals": 0.5, "drums": 1.0, "bass": 1.0, "other": 1.0}
    for index in range(3):
        write_song(root, f"song{index}", stems * (0.3 + 0.1 * index), {"source": "composed", "active": active})
    write_song(root, "recorded", -0.9 * stems, {"source": "real", "active": active})
    return root


def test_shape_and_determinism(pool: Path) -> None:
    first = MixingDataset([pool], 25, 3, seed=5)
    batch = first.batch(7)
    assert batch.shape == (3, 4, 2, 25 * FRAME) and batch.dtype == np.float32 and np.all(np.isfinite(batch))
    resumed = MixingDataset([pool], 25, 3, seed=5)
    assert np.array_equal(resumed.batch(7), batch)  # no steps before it: a resumed run
    assert not np.array_equal(first.batch(8), batch)
    assert not np.array_equal(MixingDataset([pool], 25, 3, seed=6).batch(7), batch)


def test_the_end_of_a_training_hears_songs_as_they_are(pool: Path) -> None:
    plain = MixingConfig(coherent=0.0, speed=0.0)
    dataset = MixingDataset([pool], 20, 2, seed=1, config=plain, settle=3)
    settled = MixingDataset([pool], 20, 2, seed=1, config=plain.settled)
    assert plain.settled.coherent > 0.5
    assert np.array_equal(dataset.batch(3), settled.batch(3))
    assert np.array_equal(dataset.batch(2), MixingDataset([pool], 20, 2, seed=1, config=plain).batch(2))
    assert not np.array_equal(dataset.batch(2), settled.batch(2))


def test_a_dataset_goes_to_another_process_without_its_samples(pool: Path) -> None:
    dataset = MixingDataset([pool], 20, 2, seed=1)
    sent = pickle.dumps(dataset)
    assert len(sent) < 20_000 and np.array_equal(pickle.loads(sent).batch(2), dataset.batch(2))


def test_items_do_not_depend_on_the_batch_size(pool: Path) -> None:
    few, many = MixingDataset([pool], 20, 2, seed=1), MixingDataset([pool], 20, 4, seed=1)
    assert np.array_equal(few.batch(3), many.batch(3)[:2])


def test_without_augmentation_passages_are_as_they_are(pool: Path, stems: Sound) -> None:
    dataset = MixingDataset([pool], 20, 4, seed=2, config=MixingConfig(augment=False))
    for item in dataset.batch(0):
        loudness = [float(np.abs(stem).max() / np.abs(whole).max()) for stem, whole in zip(item, stems, strict=True)][
            1:
        ]
        assert max(loudness) - min(loudness) < 0.02
        assert min(abs(loudness[0] - level) for level in (0.3, 0.4, 0.5, 0.9)) < 0.02


def test_dropout_and_ceiling(pool: Path) -> None:
    config = MixingConfig(dropout=(1.0, 0.0, 0.0, 0.0), ceiling=0.2, loudness_db=(6.0, 6.0))
    batch = MixingDataset([pool], 20, 8, seed=3, config=config).batch(0)
    assert not np.any(batch[:, 0]) and np.all(np.abs(batch[:, 2]).max((1, 2)) > 0)
    assert float(np.abs(batch.sum(1)).max()) <= 0.2 + 1e-5


def test_stems_that_are_mixed_anew_sound(pool: Path) -> None:
    """Vocals are silent half of the time: looking for a place where they sound must find one more often."""
    config = MixingConfig(coherent=0.0, dropout=(0.0, 0.0, 0.0, 0.0), far=0.0)
    batch = np.concatenate([MixingDataset([pool], 10, 8, seed=4, config=config).batch(step) for step in range(8)])
    assert np.mean(np.abs(batch[:, 0]).max((1, 2)) > 1e-3) > 0.8


@pytest.mark.parametrize("weight, low, high", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.3, 0.15, 0.45)])
def test_recorded_songs_come_as_often_as_asked(pool: Path, weight: float, low: float, high: float) -> None:
    dataset = MixingDataset([pool], 5, 16, seed=0, config=MixingConfig(augment=False, real_weight=weight))
    batch = np.concatenate([dataset.batch(step) for step in range(8)])
    recorded = np.abs(batch[:, 2]).max((1, 2)) > 0.22
    assert low <= float(recorded.mean()) <= high


def test_speed_changes_pitch(pool: Path) -> None:
    config = MixingConfig(coherent=1.0, speed=1.0, tilt=0.0, dropout=(0.0, 0.0, 0.0, 0.0))
    dataset = MixingDataset([pool], 50, 8, seed=1, config=config)
    found = []
    for item in dataset.batch(0):
        wave = item[1, 0] if np.any(item[1, 0]) else item[1, 1]
        size = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        found.append(float(np.fft.rfftfreq(len(wave), 1 / 48_000)[np.argmax(size)]) / 1_200)
    assert max(found) > 1.03 and min(found) < 0.97 and min(found) > 0.79 and max(found) < 1.21


def test_too_short_and_empty_pools(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="lasts"):
        MixingDataset([pool], 250, 1, seed=0)
    with pytest.raises(OptionError, match="no song"):
        MixingDataset([tmp_path], 10, 1, seed=0)


def test_another_sound_has_the_same_score(stems: Sound) -> None:
    """Roughened stems keep where they sound and about how loudly, and lose what they sound like."""
    for seed in range(20):
        before, after = stems[2, :, : 2 * 48_000], stems[2, :, : 2 * 48_000].copy()
        roughen(np.random.default_rng(seed), after, 48_000)
        assert np.all(np.isfinite(after)) and not np.array_equal(before, after)
        level = float(np.sqrt(np.mean(after**2) / np.mean(before**2)))
        assert 0.4 < level < 2.5
        silent = np.zeros((2, 4_800), np.float32)
        roughen(np.random.default_rng(seed), silent, 48_000)
        assert not np.any(silent)


@pytest.mark.parametrize("feedback", [False, True])
def test_comb_is_the_filter_it_says(feedback: bool) -> None:
    x = np.random.default_rng(1).standard_normal((2, 500)).astype(np.float32)
    taps = np.zeros(38)
    taps[0], taps[37] = 1.0, -0.4 if feedback else 0.4
    expected = lfilter([1.0], taps, x) if feedback else lfilter(taps, [1.0], x)
    comb(x, 37, 0.4, feedback)
    assert np.allclose(x, expected, atol=1e-5)


def test_an_overdriven_amplifier_adds_harmonics_and_no_energy() -> None:
    time = np.arange(4_800) / 48_000
    x = np.tile(np.sin(2 * np.pi * 1_000 * time), (2, 1)).astype(np.float32)
    energy = float(np.sum(x**2))
    drive(x, 2.0, 0.3)
    assert float(np.sum(x**2)) == pytest.approx(energy, rel=1e-3)
    lines = np.abs(np.fft.rfft(x[0]))[[100, 200, 300]]  # the first three harmonics
    assert lines[0] > 10 * lines[1] > 100 * 1e-3 and lines[2] > 0.02 * lines[0]


def test_layers_come_from_other_songs(pool: Path) -> None:
    plain = MixingConfig(coherent=1.0, dropout=(0.0, 0.0, 0.0, 0.0))
    alone, layered = (
        MixingDataset([pool], 20, 4, seed=1, config=replace(plain, layer=share)).batch(0) for share in (0.0, 1.0)
    )
    gain = [float(np.vdot(a, b) / np.vdot(a, a)) for a, b in zip(alone[:, 1], layered[:, 1], strict=True)]
    rest = [b - g * a for a, b, g in zip(alone[:, 1], layered[:, 1], gain, strict=True)]
    assert all(np.sum(r**2) > 1e-3 * np.sum(b**2) for r, b in zip(rest, layered[:, 1], strict=True))
