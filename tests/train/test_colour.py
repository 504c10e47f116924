"""Random colours of stems."""

from __future__ import annotations

import torch

from streamsep.codec.stft import STFT
from streamsep.config import BINS
from streamsep.train.batches import spectra
from streamsep.train.colour import random_colours


def test_colours_are_smooth_and_leave_some_stems_alone() -> None:
    colours = random_colours(64, 4, 4.0, torch.Generator().manual_seed(0))
    decibels = 20 * colours.log10()
    assert decibels.shape == (64, 4, BINS)
    plain = (decibels == 0).all(-1)
    assert 0.2 < plain.float().mean() < 0.5
    assert 2.0 < decibels[~plain].std() < 4.5
    assert decibels.diff(dim=-1).abs().max() < 8.0  # the lowest bands are single bins


def test_a_colour_changes_its_stem_and_the_mixture_is_still_the_sum() -> None:
    waves = torch.randn(2, 4, 2, 4 * 1_920, generator=torch.Generator().manual_seed(1))
    colours = torch.ones(2, 4, BINS)
    colours[0, 1] = 2.0
    plain, coloured = spectra(waves, STFT()), spectra(waves, STFT(), colours)
    torch.testing.assert_close(coloured.stems[0, :, 1], 2 * plain.stems[0, :, 1])
    torch.testing.assert_close(coloured.stems[:, :, 2:], plain.stems[:, :, 2:])
    torch.testing.assert_close(coloured.stems.sum(2), coloured.mixture)
