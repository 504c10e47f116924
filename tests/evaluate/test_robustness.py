"""What counts as a gain: more in the median, and not by chance."""

from __future__ import annotations

import pytest

from streamsep.evaluate.robustness import _gain


@pytest.mark.parametrize(
    ("gains", "holds", "said"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], True, "+0.35 median, +0.10 to +0.60, p = 0.031 over 6 songs"),
        ([0.1, 0.2, 0.3, 0.4, 0.5], False, "p = 0.062"),  # no five songs can be sure
        ([-0.1, -0.2, -0.3, -0.4, -0.5, -0.6], False, "-0.35 median"),
        ([-7.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1], True, "-7.00 to +1.10"),  # one song may lose
        ([], False, "not measured"),
    ],
)
def test_a_gain_is_more_and_not_by_chance(gains: list[float], holds: bool, said: str) -> None:
    found = _gain("own history", gains)
    assert (found.holds, said in found.figure) == (holds, True), found
