"""Resampling: length, alignment, block sizes, bands."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep.audio.resample import ResampleStream, output_length, resample

RATES = [(44_100, 48_000), (48_000, 44_100), (8_000, 48_000), (192_000, 48_000), (48_000, 96_000), (44_101, 48_000)]
RATES += [(47_952, 48_000)]  # few phases, but a long period


def tone(frequency: float, rate: int, samples: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(samples) / rate)


@pytest.mark.parametrize(("rate", "other"), RATES)
def test_tones_of_the_pass_band_arrive_unchanged_and_on_time(rate: int, other: int) -> None:
    samples, low = rate // 2 + 17, min(rate, other)
    frequencies = [97.0, 0.1 * low, 0.3 * low, 0.45 * low]
    sound = np.sum([tone(f, rate, samples) for f in frequencies], axis=0)[None].astype(np.float32)
    out = resample(sound, rate, other)
    wanted = np.sum([tone(f, other, out.shape[1]) for f in frequencies], axis=0)
    middle = slice(other // 20, -other // 20)  # away from the ends, where the tones begin and stop
    assert np.abs(out[0, middle] - wanted[middle]).max() < 2e-5


@pytest.mark.parametrize(("rate", "other"), RATES)
def test_an_impulse_keeps_its_time(rate: int, other: int) -> None:
    # A whole number of both rates' samples from the start, so that the peak falls on a sample.
    second = np.zeros((1, rate + rate // 2), np.float32)
    second[0, rate] = 1
    assert int(np.argmax(np.abs(resample(second, rate, other)))) == other


@pytest.mark.parametrize(("rate", "other"), RATES)
def test_an_output_waits_for_exactly_delay_inputs(rate: int, other: int) -> None:
    stream = ResampleStream(rate, other, 1)
    silent = stream.push(np.zeros((1, stream.delay), np.float32))
    first = stream.push(np.zeros((1, 1), np.float32))
    assert silent.shape[1] == 0
    assert first.shape[1] >= 1


@pytest.mark.parametrize("rate", [47_952, 128_016, 191_952])
def test_odd_rates_need_no_more_memory_than_others(rate: int) -> None:
    tracemalloc.start()
    try:
        ResampleStream(rate, 48_000, 2).push(np.zeros((2, 4_096), np.float32))
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()


def test_the_delay_is_below_two_milliseconds_at_the_usual_rates() -> None:
    for rate, other in [(44_100, 48_000), (48_000, 44_100), (96_000, 48_000), (48_000, 96_000)]:
        assert ResampleStream(rate, other, 1).delay / rate < 0.002


@settings(max_examples=40, deadline=None)
@given(
    rates=st.sampled_from([*RATES, (48_000, 48_000), (11_025, 48_000)]),
    blocks=st.lists(st.integers(0, 3_000), min_size=1, max_size=12),
)
def test_neither_counts_nor_values_depend_on_block_sizes(rates: tuple[int, int], blocks: list[int]) -> None:
    total = sum(blocks)
    sound = np.random.default_rng(total).uniform(-1, 1, (2, total)).astype(np.float32)
    stream = ResampleStream(*rates, 2)
    parts, heard = [], 0
    for size in blocks:
        parts.append(stream.push(sound[:, heard : heard + size]))
        heard += size
        assert sum(part.shape[1] for part in parts) == stream.ready(heard)
    joined = np.concatenate([*parts, stream.flush()], axis=1)
    assert joined.shape[1] == output_length(total, *rates)
    np.testing.assert_allclose(joined, resample(sound, *rates), atol=3e-6)


@given(samples=st.integers(0, 10**9), rate=st.integers(8_000, 192_000), other=st.integers(8_000, 192_000))
def test_output_length_is_the_nearest_integer(samples: int, rate: int, other: int) -> None:
    assert abs(output_length(samples, rate, other) * rate - samples * other) * 2 <= rate


def test_equal_rates_pass_through() -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (2, 1_000)).astype(np.float32)
    stream = ResampleStream(48_000, 48_000, 2)
    assert stream.delay == 0
    np.testing.assert_array_equal(np.concatenate([stream.push(sound), stream.flush()], axis=1), sound)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    for frequency in (24_100.0, 30_000.0):
        out = resample(tone(frequency, 96_000, 48_000)[None].astype(np.float32), 96_000, 48_000)
        assert np.abs(out[0, 2_000:-2_000]).max() < 1e-4


def test_agrees_with_soxr_in_the_band_that_both_keep() -> None:
    rng = np.random.default_rng(1)
    sound = soxr.resample(rng.uniform(-1, 1, 16_000), 16_000, 44_100).astype(np.float32)[None]  # nothing above 8 kHz
    ours, theirs = resample(sound, 44_100, 48_000), soxr.resample(sound[0], 44_100, 48_000)
    middle = slice(4_000, -4_000)
    assert np.abs(ours[0, middle] - theirs[middle]).max() < 2e-3  # soxr's own phase error is most of this


def test_a_stream_is_new_after_flush() -> None:
    sound = np.random.default_rng(2).uniform(-1, 1, (1, 5_000)).astype(np.float32)
    stream = ResampleStream(44_100, 48_000, 1)
    runs = [np.concatenate([stream.push(sound), stream.flush()], axis=1) for _ in range(2)]
    np.testing.assert_array_equal(runs[0], runs[1])


def test_wrong_shapes_and_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        ResampleStream(0, 48_000, 1)
    with pytest.raises(ValueError, match=r"\[2, n\]"):
        ResampleStream(44_100, 48_000, 2).push(np.zeros((1, 5), np.float32))
