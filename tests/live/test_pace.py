"""A late result is followed by a hurry, and a machine that is always late hurries ever longer."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.engine.separator import Separator
from streamsep.engine.settings import Settings
from streamsep.engine.stream import Stream
from streamsep.live.pace import Pace
from tests.model.small import small_net
from tests.sounds import tune


def test_nothing_late_nothing_hurried() -> None:
    assert not Pace().hurried(0)


def test_one_late_result_is_a_hurry_of_seconds() -> None:
    pace = Pace()
    pace.late(10)
    pace.late(10.1)  # the next one, while catching up
    assert pace.hurried(10.1) and not pace.hurried(12.1)


def test_late_again_and_again_is_a_longer_hurry_each_time_and_a_calm_minute_forgets() -> None:
    pace, now, spans = Pace(), 0.0, []
    for _ in range(7):
        pace.late(now)
        span = next(step / 10 for step in range(1_000) if not pace.hurried(now + step / 10))
        spans.append(round(span))
        now += span + 0.1
    assert spans == [2, 4, 8, 16, 32, 60, 60]
    pace.late(now + 200)
    assert not pace.hurried(now + 202.1)


@pytest.mark.parametrize("lookahead", [-1, 0])
def test_a_stream_in_a_hurry_is_the_guide_head_alone_and_then_itself_again(lookahead: int) -> None:
    song = tune(1.0, 48_000)
    net = small_net()
    fused, guide = (Separator(net, decode=name).stream(48_000, 2, lookahead) for name in ("fused", "guide"))
    fused.hurried = True
    first, wanted = fused.push(song)["vocals"], guide.push(song)["vocals"]
    assert np.array_equal(first, wanted)
    fused.hurried = False
    assert not np.array_equal(fused.push(song)["vocals"], guide.push(song)["vocals"])


def test_in_a_hurry_every_way_of_decoding_is_the_guide_head() -> None:
    stream = Stream(small_net(), Settings(decodes=("fused", "guide")), 48_000, 2)
    stream.hurried = True
    fused, guide = stream.push_all(tune(1.0, 48_000)).values()
    assert all(np.array_equal(fused[stem], guide[stem]) for stem in fused)
