"""Scores of a reconstruction: known values, blocks of any size, silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamsep.evaluate.spectral import log_spectral_distance
from streamsep.transcode.picture import draw
from streamsep.transcode.scores import RunningScores
from tests.sounds import tune

RATE = 8_000


def scores(reference: np.ndarray, estimate: np.ndarray, size: int = 1_111) -> dict[str, float | None]:
    running = RunningScores(RATE, reference.shape[0])
    for start in range(0, reference.shape[1], size):
        running.add(reference[:, start : start + size], estimate[:, start : start + size])
    return running.result()


def test_a_copy_is_perfect_and_louder_is_another_spectrum_only() -> None:
    sound = tune(3.5, RATE)
    assert scores(sound, sound) == {"si_sdr_db": 60.0, "log_spectral_distance_db": 0.0, "seconds_scored": 3}
    louder = scores(sound, 2 * sound)
    assert louder["si_sdr_db"] == 60.0
    assert louder["log_spectral_distance_db"] == pytest.approx(20 * np.log10(2), abs=0.1)


def test_noise_of_a_known_level() -> None:
    rng = np.random.default_rng(0)
    sound = rng.standard_normal((1, 4 * RATE)).astype(np.float32) * 0.1
    noise = rng.standard_normal(sound.shape).astype(np.float32) * 0.01
    assert scores(sound, sound + noise)["si_sdr_db"] == pytest.approx(20, abs=0.3)


def test_phase_costs_sdr_and_no_spectral_distance() -> None:
    sound = tune(2.0, RATE, 1)
    flipped = sound.copy()
    flipped[:, 1:] = sound[:, :-1]
    moved = scores(sound, flipped)
    assert moved["si_sdr_db"] is not None and moved["si_sdr_db"] < 30
    assert log_spectral_distance(-sound, sound) == 0


def test_blocks_do_not_matter() -> None:
    sound = tune(2.0, RATE)
    rough = np.round(sound * 50).astype(np.float32) / 50
    assert scores(sound, rough, 7) == scores(sound, rough, 10**6)


def test_silence_is_not_scored_and_short_sounds_are() -> None:
    nothing = np.zeros((1, 3 * RATE), np.float32)
    assert scores(nothing, nothing) == {"si_sdr_db": None, "log_spectral_distance_db": None, "seconds_scored": 0}
    short = tune(0.3, RATE)
    assert scores(short, short)["seconds_scored"] == 1
    assert RunningScores(RATE, 1).result()["seconds_scored"] == 0


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    sound = tune(1.0, RATE * 6)
    draw(tmp_path / "new" / "a.png", sound, sound * 0.5, RATE * 6, "half as loud")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    draw(tmp_path / "b.png", sound[:, :10], sound[:, :10] * 0, RATE * 6, "short and silent")
