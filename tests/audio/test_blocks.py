"""Channel layouts."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.audio.blocks import channel_groups, from_stereo, to_stereo


@pytest.mark.parametrize("channels", range(1, 9))
def test_groups_cover_every_channel_once_in_order(channels: int) -> None:
    block = np.arange(channels * 3, dtype=np.float32).reshape(channels, 3)
    groups = channel_groups(channels)
    assert all(group.count in (1, 2) for group in groups)
    assert sum(group.count == 1 for group in groups) == channels % 2
    np.testing.assert_array_equal(np.concatenate([group.take(block) for group in groups]), block)


@pytest.mark.parametrize("channels", [1, 2])
def test_stereo_and_back(channels: int) -> None:
    block = np.random.default_rng(0).uniform(-1, 1, (channels, 50)).astype(np.float32)
    assert to_stereo(block).shape == (2, 50)
    np.testing.assert_array_equal(from_stereo(to_stereo(block), channels), block)
