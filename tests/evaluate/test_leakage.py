"""Leakage, correlation and residual of mixtures made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.evaluate.leakage import correlation, leakage, residual_db


def noises(seconds: float = 11.5, stems: int = 4) -> np.ndarray:
    """[S, 2, n] of one loudness each, nearly orthogonal."""
    return np.random.default_rng(0).standard_normal((stems, 2, round(48_000 * seconds))).astype(np.float32)


def test_what_leaks_is_found_with_its_level() -> None:
    true = noises()
    made = true.copy()
    made[0] = true[0] + np.float32(0.1) * true[1]
    made[2] = np.float32(0.5) * true[3]
    found = leakage(made, true)
    whole = 10 * np.log10(1.01)
    assert found[0, 0] == pytest.approx(-whole, abs=0.02)
    assert found[0, 1] == pytest.approx(-20 - whole, abs=0.1)
    assert found[0, 2] < -80 and found[0, 3] < -80
    assert found[2, 3] == pytest.approx(0, abs=0.01) and found[2, 2] < -80
    np.testing.assert_allclose(np.diag(found)[[1, 3]], 0, atol=0.01)


def test_a_filtered_leak_is_found_and_noise_is_nobodys() -> None:
    true = noises()
    late = np.pad(true[1], [(0, 0), (1, 0)])[:, :-1]  # a sample late: another phase in every band
    made = true.copy()
    made[0] = np.float32(0.5) * late
    made[3] = np.random.default_rng(9).standard_normal(true[3].shape)
    found = leakage(made, true)
    assert found[0, 1] > -3 and found[0, 0] < -25
    assert found[3].max() < -25


def test_silent_stems() -> None:
    true = noises(2.0)
    true[2] = 0
    made = true.copy()
    made[0] = 0
    found = leakage(made, true)
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()
    assert found[1, 1] == pytest.approx(0, abs=0.01) and found[1, 2] == -120


def test_correlation_by_hand() -> None:
    stems = np.array([[[1.0, 0, 0, 0]], [[1.0, 1, 0, 0]], [[0, 0, 0, 0]], [[0, 0, -2.0, 0]]], np.float32)
    found = correlation(stems)
    assert found[0, 1] == pytest.approx(np.sqrt(0.5)) and found[0, 3] == 0 and found[3, 3] == pytest.approx(1)
    assert np.isnan(found[2]).all()


def test_residual_by_hand() -> None:
    true = noises(1.0)
    mixture = true.sum(0)
    assert residual_db(mixture, true) < -110
    assert residual_db(mixture, np.zeros_like(true)) == pytest.approx(0)
    assert residual_db(mixture, true * np.float32(0.9)) == pytest.approx(-20, abs=1e-3)
