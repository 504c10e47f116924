"""What is given when time is short: stems that still sum to the mixture, at the same delay, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.config import STEMS
from streamsep.engine.batch import Batch
from streamsep.engine.levels import Level
from streamsep.engine.separator import Separator
from streamsep.engine.settings import Settings
from tests.engine.helpers import Player, stack
from tests.sounds import tune

Sound = np.ndarray


def played(separator: Separator, render: str, lookahead: int, levels: list[Level]) -> Sound:
    """Stems of a song whose ticks are computed at ``levels``, the last of them held."""
    batch = Batch(separator.net, 1, Settings(render))
    player = Player(batch, tune(0.6, 48_000), 48_000, lookahead)
    ticks = 0
    while player.lane.due():
        level = levels[min(ticks, len(levels) - 1)]
        player.give(batch.tick({player.slot: player.lane.next()}, level)[player.slot])
        ticks += 1
    return player.stems()


@pytest.mark.parametrize("lookahead", [-1, 0, 2])
def test_dry_is_the_mixture_as_other(separator: Separator, lookahead: int) -> None:
    song = tune(0.6, 48_000)
    stems = played(separator, "mask", lookahead, [Level.DRY])
    start = 1_920 if lookahead < 0 else 0  # the first predicted frame is even
    np.testing.assert_allclose(stems[STEMS.index("other"), :, start:], song[:, start:], atol=1e-4)
    assert not stems[:3, :, start + 960 :].any()
    np.testing.assert_allclose(stems.sum(0), song, atol=1e-4)


@pytest.mark.parametrize("lookahead", [-1, 0, 2])
def test_the_mixture_is_kept_on_every_step_down_and_up(separator: Separator, lookahead: int) -> None:
    song = tune(0.6, 48_000)
    levels = [Level(n // 2 % 3) for n in range(60)]
    stems = played(separator, "mask", lookahead, levels)
    np.testing.assert_allclose(stems.sum(0), song, atol=1e-4)
    full = stack(separator.separate(song, 48_000, lookahead))
    assert not np.allclose(stems, full, atol=1e-3)
    jumps = np.abs(np.diff(stems, axis=-1)).max()
    assert jumps < 1.5 * np.abs(np.diff(song, axis=-1)).max()  # frames overlap: nothing clicks


def test_the_codec_render_gives_up_its_acoustic_tokens_first(separator: Separator) -> None:
    song = tune(0.6, 48_000)
    full = stack(Separator(separator.net, "codec").separate(song, 48_000))
    assert np.array_equal(played(separator, "codec", 0, [Level.FULL]), full)
    light = played(separator, "codec", 0, [Level.LIGHT])
    assert np.isfinite(light).all() and light.any() and not np.allclose(light, full, atol=1e-3)
    dry = played(separator, "codec", 0, [Level.DRY])
    np.testing.assert_allclose(dry[3], song, atol=1e-4)
    assert not dry[:3].any()
    mixed = played(separator, "codec", 0, [Level(n % 3) for n in range(30)])
    assert np.isfinite(mixed).all() and np.abs(mixed).max() < 10


def test_light_is_the_guide_head(separator: Separator) -> None:
    song = tune(0.6, 48_000)
    guide = Separator(separator.net, decode="guide").separate(song, 48_000)
    assert np.array_equal(played(separator, "mask", 0, [Level.LIGHT]), stack(guide))
