"""Log-spectral distance and phase deviation of sounds for which they can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.evaluate.spectral import BAND_NAMES, log_spectral_distance, phase_deviation


def tone(hz: float, phase: float = 0.0) -> np.ndarray:
    time = np.arange(48_000) / 48_000
    return np.sin(2 * np.pi * hz * time + phase)[None].astype(np.float32)


def test_distance_of_a_gain_is_the_gain() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 48_000)).astype(np.float32)
    assert log_spectral_distance(noise, noise) == 0
    assert log_spectral_distance(np.float32(2) * noise, noise) == pytest.approx(20 * np.log10(2), abs=1e-3)
    # Silence is floored 80 dB below the loudest bin; white noise lies some 10 to 15 dB below its own loudest.
    assert 50 < log_spectral_distance(np.zeros_like(noise), noise) < 80


def test_phase_deviation_of_a_turned_tone_is_the_turn() -> None:
    found = phase_deviation(tone(1_500, np.pi / 3) + tone(375), tone(1_500) + tone(375))
    assert found[BAND_NAMES.index("1000-2000 Hz")] == pytest.approx(60, abs=0.1)
    assert found[BAND_NAMES.index("250-500 Hz")] == pytest.approx(0, abs=0.1)


def test_phase_deviation_of_inverse_silence_and_chance() -> None:
    rng = np.random.default_rng(1)
    noise, other = rng.standard_normal((2, 1, 240_000)).astype(np.float32)
    np.testing.assert_allclose(phase_deviation(-noise, noise), 180, atol=1e-3)
    np.testing.assert_allclose(phase_deviation(np.zeros_like(noise), noise), 90)
    np.testing.assert_allclose(phase_deviation(other, noise), 90, atol=8)
    assert np.isnan(phase_deviation(noise, np.zeros_like(noise))).all()
