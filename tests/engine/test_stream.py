"""Streams: exact latency, exact length, the same bits for every block size, stems that sum to the mixture."""

from __future__ import annotations

import numpy as np
import pytest

import streamsep
from streamsep.audio.sanitize import ABSURD
from streamsep.config import FRAME, LOOKAHEADS, SAMPLE_RATE, STEMS
from streamsep.engine.clock import Clock
from streamsep.engine.separator import Separator
from streamsep.errors import AudioError
from tests.engine.helpers import feed, stack
from tests.sounds import tune

RATES = (48_000, 44_100, 96_000, 8_000, 44_101)
BLOCKS = ([1], [7], [480], [1_920], [4_096], [13, 2_500, 0, 911, 1, 5_003])


def lossless(error: np.ndarray) -> bool:
    """At most -80 dBFS."""
    return bool(np.abs(error).max() <= 1e-4)


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_streaming_equals_offline(separator: Separator, rate: int, lookahead: int, blocks: list[int]) -> None:
    sound = tune(0.31, rate)
    whole = separator.stream(rate, 2, lookahead, keep_codes=True)
    expected = feed(whole, sound, [10**6])
    assert np.array_equal(expected, stack(separator.separate(sound, rate, lookahead)))
    stream = separator.stream(rate, 2, lookahead, keep_codes=True)
    assert np.array_equal(feed(stream, sound, blocks), expected)
    assert np.array_equal(stream.codes, whole.codes)
    assert len(stream.codes) == 8 - (lookahead < 0) and stream.codes[0].shape == (len(STEMS), 3)


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_sum_to_the_mixture_and_have_its_length(
    separator: Separator, rate: int, lookahead: int, channels: int
) -> None:
    for samples in (1, 2, rate // 5 + 3):
        sound = tune(0.5, rate, channels)[:, :samples]
        stems = feed(separator.stream(rate, channels, lookahead), sound, [1_000])
        assert stems.shape == (len(STEMS), channels, samples) and stems.dtype == np.float32
        assert lossless(stems.sum(0) - sound)


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("rate", RATES)
def test_latency_is_that_of_an_impulse(separator: Separator, rate: int, lookahead: int) -> None:
    for at in (0, 1_234):
        stream = separator.stream(rate, 2, lookahead, align=False)
        sound = np.zeros((2, stream.latency + 4_000), np.float32)
        sound[:, at] = 0.5
        heard, start = [], 0
        for size in (1, 7, 480, 1_920, sound.shape[1]):
            out = stream.push(sound[:, start : start + size])
            start += size
            heard.append(stack(out).sum(0))
            assert heard[-1].shape[1] == min(size, sound.shape[1] - start + size)  # as many out as in
        mixture = np.concatenate(heard, axis=1)
        assert np.abs(mixture[0]).argmax() == at + stream.latency
        assert lossless(mixture - np.roll(sound, stream.latency, axis=1))


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("rate", RATES)
def test_latency_is_kept_and_tight(separator: Separator, rate: int, lookahead: int) -> None:
    stream = separator.stream(rate, 1, lookahead)
    given, waits = 0, []
    for pushed in range(1, stream.latency + rate // 5):
        waits.append(pushed - given)  # what this sample's predecessors still wait for when it comes
        given += stream.push(np.zeros((1, 1), np.float32))["vocals"].shape[1]
        assert given <= pushed
    assert max(waits) <= stream.latency
    assert max(waits) >= stream.latency - (0 if SAMPLE_RATE % rate == 0 else 8)


def test_latencies_are_those_of_the_documentation(separator: Separator) -> None:
    expected = [960, 2_880, 4_800, 6_720]
    assert [separator.stream(48_000, 2, k).latency for k in LOOKAHEADS] == expected
    for k, samples in zip(LOOKAHEADS, expected, strict=True):
        more = separator.stream(44_100, 2, k).latency / 44.1 - samples / 48
        assert 0 < more < 4  # ms that the resamplers add


def test_codec_render_is_no_later(codec_separator: Separator) -> None:
    assert [codec_separator.stream(48_000, 2, k).latency for k in LOOKAHEADS] == [960, 2_880, 4_800, 6_720]


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_codec_render_streams_like_the_mask_render(codec_separator: Separator, rate: int, lookahead: int) -> None:
    sound = tune(0.3, rate)
    expected = stack(codec_separator.separate(sound, rate, lookahead))
    assert expected.shape == (4, *sound.shape) and np.isfinite(expected).all() and expected.any()
    for blocks in ([7], [4_096], [13, 2_500, 911]):
        assert np.array_equal(feed(codec_separator.stream(rate, 2, lookahead), sound, blocks), expected)
    unaligned = codec_separator.stream(rate, 2, lookahead, align=False)
    late = feed(unaligned, sound, [1_000])
    assert np.array_equal(late[..., unaligned.latency :], expected)


@pytest.mark.parametrize("lookahead", LOOKAHEADS)
def test_no_stem_hears_what_has_not_been_pushed(separator: Separator, lookahead: int) -> None:
    sound, other = tune(0.4, 48_000), tune(0.4, 48_000, seed=5)
    cut = 9_000
    other[:, :cut] = sound[:, :cut]
    a, b = (feed(separator.stream(48_000, 2, lookahead), each, [777]) for each in (sound, other))
    latency = separator.stream(48_000, 2, lookahead).latency
    assert np.array_equal(a[..., : cut - latency + 1], b[..., : cut - latency + 1])
    assert not np.array_equal(a[..., cut - latency : cut + FRAME], b[..., cut - latency : cut + FRAME])


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("lookahead", LOOKAHEADS)
@pytest.mark.parametrize("align", [True, False])
def test_reset_gives_the_same_again(separator: Separator, rate: int, lookahead: int, align: bool) -> None:
    sound = tune(0.2, rate)
    stream = separator.stream(rate, 2, lookahead, align=align, keep_codes=True)
    first = feed(stream, sound, [900])
    codes = stream.codes
    assert first.shape[-1] == sound.shape[1] + (0 if align else stream.latency)
    stream.push(sound[:, :5_000])  # after a flush a new song begins by itself
    stream.reset()
    assert stream.codes == []
    assert np.array_equal(feed(stream, sound, [1_111]), first)
    assert np.array_equal(stream.codes, codes)
    assert stack(stream.flush()).size == 0  # nothing is left


def test_streams_do_not_disturb_each_other(separator: Separator) -> None:
    sounds = [tune(0.3, 48_000, seed=seed) for seed in (0, 1)]
    expected = [stack(separator.separate(sound, 48_000)) for sound in sounds]
    streams = [separator.stream(48_000, 2) for _ in sounds]
    parts: list[list[np.ndarray]] = [[], []]
    for start in range(0, sounds[0].shape[1], 1_000):
        for stream, sound, kept in zip(streams, sounds, parts, strict=True):
            kept.append(stack(stream.push(sound[:, start : start + 1_000])))
    for stream, kept, whole in zip(streams, parts, expected, strict=True):
        assert np.array_equal(np.concatenate([*kept, stack(stream.flush())], axis=2), whole)


def test_seeds_repeat_and_differ(separator: Separator) -> None:
    sound = tune(0.4, 48_000)

    def codes(seed: int | None) -> np.ndarray:
        stream = separator.stream(48_000, 2, seed=seed, keep_codes=True)
        feed(stream, sound, [3_000])
        return np.stack(stream.codes)

    assert np.array_equal(codes(3), codes(3))
    assert not np.array_equal(codes(3), codes(4))
    assert np.array_equal(codes(None), codes(None)) and not np.array_equal(codes(None), codes(3))
    a, b = (stack(separator.separate(sound, 48_000, seed=3)) for _ in range(2))
    assert np.array_equal(a, b)


def test_broken_samples_are_silence(separator: Separator) -> None:
    sound = tune(0.3, 48_000)
    broken = sound.copy()
    broken[0, 3_000:3_010], broken[1, 5_000] = np.nan, np.inf
    broken[0, 6_000] = 1e30
    mended = np.where(np.abs(np.nan_to_num(broken, nan=1e9)) < ABSURD, broken, 0)
    stems = feed(separator.stream(48_000, 2), broken, [1_000])
    assert lossless(stems.sum(0) - mended)
    assert np.array_equal(stems, feed(separator.stream(48_000, 2), mended, [1_000]))


@pytest.mark.parametrize("lookahead", [-1, 0])
def test_what_is_just_not_absurd_leaves_nothing_behind(lookahead: int) -> None:
    stream = streamsep.load("tiny").stream(48_000, 2, lookahead)
    stream.push(np.full((2, 48_000), 0.999 * ABSURD, np.float32))
    assert all(np.isfinite(part).all() for part in stream.push(tune(0.5, 48_000)).values())


def test_a_pushed_block_may_be_written_over(separator: Separator) -> None:
    sound, buffer = tune(0.2, 44_100), np.empty((2, 1_000), np.float32)
    stream, parts = separator.stream(44_100, 2), []
    for start in range(0, 8_000, 1_000):
        buffer[:] = sound[:, start : start + 1_000]
        parts.append(stack(stream.push(buffer)))
    parts.append(stack(stream.flush()))
    assert lossless(np.concatenate(parts, axis=2).sum(0) - sound[:, :8_000])


def test_silence_in_silence_out(separator: Separator) -> None:
    stems = feed(separator.stream(48_000, 2), np.zeros((2, 20_000), np.float32), [1_000])
    assert not stems.any()


def test_a_song_of_no_samples(separator: Separator) -> None:
    stream = separator.stream(44_100, 2)
    assert stack(stream.push(np.zeros((2, 0), np.float32))).shape == (4, 2, 0)
    assert stack(stream.flush()).shape == (4, 2, 0)
    assert stack(separator.separate(np.zeros((1, 0), np.float32), 8_000)).shape == (4, 1, 0)


def test_blocks_of_another_shape_are_refused(separator: Separator) -> None:
    stream = separator.stream(48_000, 2)
    for shape in ((100, 2), (100,), (1, 100)):
        with pytest.raises(AudioError, match=r"\[2, n\]"):
            stream.push(np.zeros(shape, np.float32))


def test_the_clock_never_asks_for_less_than_a_tick_needs() -> None:
    from streamsep.audio.resample import ResampleStream

    for rate in RATES:
        into = ResampleStream(rate, SAMPLE_RATE, 1)
        for unit in (480, FRAME):
            clock = Clock(rate, unit, 0)
            for ticks in range(1, 200):
                assert into.ready(clock.heard(ticks)) >= ticks * unit > into.ready(clock.heard(ticks) - 1)
