"""Broken samples: mended, counted, said once."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.audio.sanitize import Sanitizer


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_number_becomes_silence_and_is_counted(bad: float) -> None:
    sound = np.full((2, 100), 0.25, np.float32)
    sound[0, 10] = sound[1, 20] = bad
    sanitizer = Sanitizer(2)
    out = sanitizer(sound)
    assert out[0, 10] == out[1, 20] == 0
    assert np.count_nonzero(out == np.float32(0.25)) == 198
    sanitizer(sound)
    assert sanitizer.not_finite == 4
    assert len(sanitizer.warnings()) == 1
    assert sanitizer.warnings()[0].startswith("4 samples")


def test_good_sound_passes_untouched_and_unmentioned() -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (2, 20_000)).astype(np.float32)
    sanitizer = Sanitizer(2)
    np.testing.assert_array_equal(sanitizer(sound), sound)
    assert sanitizer.warnings() == []


def test_clipping_is_found_across_block_boundaries_too() -> None:
    tone = np.clip(1.5 * np.sin(np.arange(4_000) / 20), -1, 1).astype(np.float32)[None]
    whole, pieces = Sanitizer(1), Sanitizer(1)
    whole(tone)
    for start in range(0, 4_000, 7):
        pieces(tone[:, start : start + 7])
    assert whole.clipped == pieces.clipped > 500
    assert "clipped" in whole.warnings()[0]


def test_a_song_that_touches_full_scale_is_not_clipped() -> None:
    sound = (0.9 * np.sin(np.arange(4_000) / 20)).astype(np.float32)[None]
    sound[0, 100] = 1.0
    sanitizer = Sanitizer(1)
    sanitizer(sound)
    assert sanitizer.clipped == 0


def test_a_dc_offset_is_reported_with_its_size() -> None:
    sanitizer = Sanitizer(2)
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 48_000)).astype(np.float32)
    sound[1] += 0.2
    sanitizer(sound)
    assert sanitizer.dc_offset == pytest.approx(0.2, abs=0.005)
    assert "DC offset of 20" in sanitizer.warnings()[0]
