"""The sweep is found again where it is, through noise and at other levels, and missed when it is not there."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.errors import DeviceError
from streamsep.live.core import Core, Format, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.loopback import Probe, _listen, delay_of, sweep

BLOCK = 480


@pytest.mark.parametrize(("rate", "delay"), [(48_000, 0), (48_000, 4_321), (44_100, 2_205)])
def test_finds_the_delay(rate: int, delay: int) -> None:
    heard = -0.05 * np.concatenate([np.zeros(delay, np.float32), sweep(rate, 0, 3 * rate - delay)])
    heard += 0.002 * np.random.default_rng(delay).standard_normal(len(heard)).astype(np.float32)
    assert delay_of(heard, rate) == round(delay * 48_000 / rate)


def test_says_when_nothing_comes_back() -> None:
    for heard in (np.zeros(144_000), 0.1 * np.random.default_rng(0).standard_normal(144_000)):
        with pytest.raises(DeviceError, match="did not come back"):
            delay_of(heard.astype(np.float32), 48_000)


def test_the_sweep_is_the_same_in_any_blocks() -> None:
    whole = sweep(48_000, 0, 96_000)
    assert np.array_equal(whole, np.concatenate([sweep(48_000, at, 960) for at in range(0, 96_000, 960)]))


@pytest.mark.parametrize("first", [-30, 0, 30])
def test_of_two_streams_one_may_start_before_the_other(first: int) -> None:
    """The output starts ``first`` blocks after the input; the cable delays by five blocks."""
    with Core(ModelOptions(), Gains("all")) as core:
        probe = Probe(core)
        probe.open(Format(block=BLOCK, one_clock=False))
        cable = [np.zeros((BLOCK, 2), np.float32)] * 5
        for index in range(-30, 400):
            now = index * BLOCK / 48_000
            heard = cable.pop(0)
            if index >= 0:
                probe.capture(heard, now)
            cable.append(probe.play(BLOCK, now) if index >= first else np.zeros((BLOCK, 2), np.float32))
        assert _listen(probe) == 5 * BLOCK
