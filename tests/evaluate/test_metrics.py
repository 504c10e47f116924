"""Metrics against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.evaluate.metrics import WINDOW, active, level_db, median, si_sdr, windows


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("wanted", [-20.0, 0.0, 7.5, 30.0])
@pytest.mark.parametrize("gain", [1.0, 0.01, -3.0])
def test_si_sdr_of_a_known_amount_of_orthogonal_noise(wanted: float, gain: float) -> None:
    reference, other = noise(2, 1, 4_000)
    other -= reference * (other @ reference.T) / (reference @ reference.T)
    other *= np.linalg.norm(reference) / np.linalg.norm(other) * 10 ** (-wanted / 20)
    assert si_sdr(gain * (reference + other), reference) == pytest.approx(wanted, abs=1e-9)


def test_si_sdr_equals_the_projection_formula_for_correlated_errors() -> None:
    reference, estimate = noise(2, 5, 1_000)
    estimate = estimate + 0.5 * reference
    for e, r, value in zip(estimate, reference, si_sdr(estimate, reference), strict=True):
        cosine = (e @ r) ** 2 / (e @ e) / (r @ r)
        assert value == pytest.approx(10 * np.log10(cosine / (1 - cosine)), abs=1e-9)


def test_si_sdr_has_a_value_at_every_extreme() -> None:
    sound, silence = noise(1, 100), np.zeros((1, 100))
    assert si_sdr(sound, sound) == 60
    assert si_sdr(2 * sound, sound) == 60
    assert si_sdr(silence, sound) == -60
    assert np.isnan(si_sdr(sound, silence))
    one, other = np.eye(2, 100)[:, None]
    assert si_sdr(one, other) == -60


def test_windows_join_channels_and_drop_the_rest() -> None:
    sound = np.arange(2 * 10, dtype=np.float32).reshape(2, 10)
    assert windows(sound, 4).tolist() == [[0, 1, 2, 3, 10, 11, 12, 13], [4, 5, 6, 7, 14, 15, 16, 17]]
    assert windows(sound).shape == (1, 20), "a short sound is one short window"
    assert windows(np.zeros((2, 0), np.float32)).shape == (0, 2)
    assert windows(np.zeros((2, 3 * WINDOW + 1), np.float32)).shape == (3, 2 * WINDOW)


def test_level_of_a_sine_and_of_silence() -> None:
    sine = np.sin(2 * np.pi * np.arange(480) / 48)[None]
    assert level_db(sine) == pytest.approx(-3.0103, abs=1e-4)
    assert level_db(0 * sine) == -200


def test_a_stem_is_active_when_loud_enough_and_not_drowned() -> None:
    stem = np.array([-49.0, -51.0, -49.0, -20.0])
    mixture = np.array([-40.0, -51.0, -18.0, -5.0])
    assert active(stem, mixture).tolist() == [True, False, False, True]


def test_median_of_nothing_is_none() -> None:
    assert median(np.array([])) is None
    assert median(np.array([np.nan])) is None
    assert median(np.array([1.0, np.nan, 4.0, 2.0])) == 2.0
