"""Ideal masks: they sum to the mixture, know no block edges, and do what the formula says."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.config import HOP, STEMS, envelope_edges
from streamsep.evaluate import masks
from streamsep.evaluate.masks import ideal_stems, ratio_masks


def true_stems(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((len(STEMS), 2, samples)).astype(np.float32) * 0.1


@pytest.mark.parametrize("bands", [False, True])
@pytest.mark.parametrize("samples", [1, 959, 960, 5_000, 96_001])
def test_ideal_stems_sum_to_the_mixture(samples: int, bands: bool) -> None:
    stems = true_stems(samples)
    made = ideal_stems(stems, bands)
    assert made.shape == stems.shape
    np.testing.assert_allclose(made.sum(0), stems.sum(0), atol=2e-6)


def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    stems = true_stems(30_000)
    whole = ideal_stems(stems)
    monkeypatch.setattr(masks, "_BLOCKS", 3)
    np.testing.assert_allclose(ideal_stems(stems), whole, atol=1e-6)


def test_stems_that_share_no_bin_come_out_whole() -> None:
    time = np.arange(48_000) / 48_000
    stems = np.zeros((4, 2, 48_000), np.float32)
    for index, frequency in enumerate((100, 1_000, 4_000, 12_000)):
        stems[index] = 0.2 * np.sin(2 * np.pi * frequency * time + index)
    made = ideal_stems(stems)
    inner = slice(HOP, -HOP)  # the song's edges are steps, which spread over all bins
    np.testing.assert_allclose(made[..., inner], stems[..., inner], atol=1e-3)


def test_masks_are_the_power_ratio_per_bin_and_per_band() -> None:
    power = np.random.default_rng(1).random((4, 961)).astype(np.float32)
    np.testing.assert_allclose(ratio_masks(power, bands=False), power / power.sum(0), rtol=1e-6)
    banded = ratio_masks(power, bands=True)
    edges = envelope_edges()
    low, high = edges[-2], edges[-1]
    np.testing.assert_allclose(banded[:, low], power[:, low:high].sum(1) / power[:, low:high].sum(), rtol=1e-5)
    assert np.ptp(banded[:, low:high], axis=1).max() == 0
    np.testing.assert_allclose(ratio_masks(np.zeros((4, 961), np.float32), bands=True), 0.25)


def test_a_wide_stem_is_told_from_a_central_one_by_mid_and_side() -> None:
    rng = np.random.default_rng(2)
    centre, wide = 0.1 * rng.standard_normal((2, 48_000))
    stems = np.zeros((4, 2, 48_000), np.float32)
    stems[0], stems[3] = centre, np.stack([wide, -wide])
    np.testing.assert_allclose(ideal_stems(stems), stems, atol=1e-5)
