"""Faders: presets, ranges, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamsep.errors import OptionError
from streamsep.live.gains import PRESETS, Gains, Smoother, parse_gain


def test_karaoke_is_everything_but_the_singer() -> None:
    assert Gains().factors()[:4].tolist() == [0, 1, 1, 1]


def test_solo_wins_over_gain_and_mute_over_solo() -> None:
    gains = Gains("all")
    gains.set_solo("bass", True)
    assert gains.factors()[:4].tolist() == [0, 0, 1, 0]
    gains.set_mute("bass", True)
    assert gains.factors()[:4].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_heard(name: str) -> None:
    factors = Gains(name).factors()
    assert factors[:4].max() > 0
    assert factors[-1] == (0 if name == "acapella" else 1)


def test_fades_take_some_ten_milliseconds() -> None:
    gains = Gains("all")
    smoother = Smoother(gains)
    gains.set_gain("vocals", -math.inf)
    curve = smoother.next(4_800)[0]
    assert np.all(np.diff(curve) <= 0)
    assert curve[480] == pytest.approx(math.exp(-1), abs=0.01)
    assert curve[-1] < 1e-4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("voice=3", "unknown stem 'voice'"),
        ("vocals", "is no gain"),
        ("vocals=loud", "is no gain"),
        ("vocals=nan", "is no gain"),
    ],
)
def test_gains_that_make_no_sense(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_gain(text)


def test_gains_are_read_and_bounded() -> None:
    assert parse_gain("vocals=-inf") == ("vocals", -math.inf)
    assert parse_gain(" Bass = +3 dB") == ("bass", 3.0)
    gains = Gains("all")
    with pytest.raises(OptionError, match="out of range"):
        gains.set_gain("bass", 40)
    with pytest.raises(OptionError, match="did you mean karaoke"):
        gains.preset("karoke")
    gains.set_gain("bass", -90)
    assert gains.gain["bass"] == -math.inf
    gains.step_gain("bass", 1)
    assert gains.gain["bass"] == -40
