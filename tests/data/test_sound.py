"""Pitch, stretching, effects and the limiter, measured."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE
from streamsep.data import singer, synth
from streamsep.data.augment import random_placement, read_int16, tilt_and_place
from streamsep.data.drumkit import ROLES, synthesize
from streamsep.data.effects import biquad, compress, echo, filtered, place, pump, reverb, room
from streamsep.data.mixdown import PEAK, mix_down
from streamsep.data.track import Track, repitch, stretch

Sound = NDArray[np.float32]


def sine(hz: float, seconds: float) -> Sound:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def strongest(x: Sound, low: float = 20.0, high: float = 20_000.0) -> float:
    """Frequency (Hz) of the strongest bin, refined by a parabola."""
    size = np.abs(np.fft.rfft(x * np.hanning(len(x)), 4 * len(x)))
    hz = np.fft.rfftfreq(4 * len(x), 1 / SAMPLE_RATE)
    return float(hz[np.argmax(np.where((hz > low) & (hz < high), size, 0))])


@pytest.mark.parametrize("semitones", [-7.0, -0.5, 3.0, 12.0])
def test_repitch_moves_pitch_and_length(semitones: float) -> None:
    ratio = 2 ** (semitones / 12)
    out = repitch(sine(440, 1.0), semitones)
    assert len(out) == pytest.approx(SAMPLE_RATE / ratio, abs=2)
    assert strongest(out) == pytest.approx(440 * ratio, rel=0.005)


@pytest.mark.parametrize("ratio", [0.7, 1.4, 2.0])
def test_stretch_keeps_pitch_and_level(ratio: float) -> None:
    out = stretch(sine(300, 1.5), ratio)
    assert len(out) == pytest.approx(1.5 * SAMPLE_RATE * ratio, abs=2_000)
    middle = out[len(out) // 4 : len(out) // 2]
    assert strongest(middle) == pytest.approx(300, rel=0.01)
    assert float(np.std(middle)) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("kind", synth.KINDS)
@pytest.mark.parametrize("pitch", [40.0, 69.0])
def test_synthesizers_play_the_note(kind: str, pitch: float) -> None:
    rng = np.random.default_rng(0)
    patch = synth.Patch(kind, 0.01, 0.5, 0.8, 0.1, 4.0, 0.0, 0.7, 0.3, 0.3, 0.0, 0.05)
    out = synth.play(patch, pitch, 1.0, 0.9, rng)
    assert np.all(np.isfinite(out)) and 0.02 < float(np.std(out)) < 0.6
    hz = synth.hertz(pitch)
    steady = out[4_800:38_400]
    size = np.abs(np.fft.rfft(steady * np.hanning(len(steady))))
    at = np.fft.rfftfreq(len(steady), 1 / SAMPLE_RATE)
    harmonic = np.abs((at / (hz / 2) + 0.5) % 1.0 - 0.5) * hz / 2 < 0.03 * hz + 4
    assert (size[harmonic] ** 2).sum() > 0.8 * (size**2).sum()


@pytest.mark.parametrize("seed", range(4))
def test_singer_is_in_tune_and_has_formants(seed: int) -> None:
    rng = np.random.default_rng(seed)
    voice = singer.random_voice(rng)
    voice = singer.Voice(voice.size, 0.1, voice.bright, 0.0, 5.0, 0.01, 0.0, voice.low, voice.high)
    out = singer.sing(voice, 57.0, 1.2, 0.9, rng, None)
    assert np.all(np.isfinite(out)) and float(np.max(np.abs(out))) < 4
    steady = out[-36_000:-7_200]
    size = np.abs(np.fft.rfft(steady * np.hanning(len(steady)))) ** 2
    at = np.fft.rfftfreq(len(steady), 1 / SAMPLE_RATE)
    harmonic = np.abs((at / 220.0 + 0.5) % 1.0 - 0.5) * 220 < 25
    assert size[harmonic].sum() > 0.8 * size.sum()


@pytest.mark.parametrize("role", ROLES)
def test_synthesized_drums(role: str) -> None:
    out = synthesize(role, np.random.default_rng(1))
    assert out.shape[0] == 2 and out.dtype == np.float32 and np.all(np.isfinite(out)) and np.any(out)
    power = np.abs(np.fft.rfft(out.mean(0))) ** 2
    low = power[np.fft.rfftfreq(out.shape[1], 1 / SAMPLE_RATE) < 200].sum() / power.sum()
    assert low > 0.5 if role in ("kick", "tom3") else role not in ("hat", "crash") or low < 0.05


def test_shelf_and_peak_gains() -> None:
    for kind, hz, probe in (("lowshelf", 1_000, 100), ("highshelf", 1_000, 9_000), ("peak", 2_000, 2_000)):
        x = sine(probe, 1.0)[None]
        gain = np.std(filtered(x, biquad(kind, hz, 6.0))[:, 9_600:]) / np.std(x)
        assert 20 * np.log10(gain) == pytest.approx(6.0, abs=0.4)


def test_compressor_lowers_what_is_loud_only() -> None:
    loud, soft = np.stack([sine(200, 0.5)] * 2), 0.02 * np.stack([sine(200, 0.5)] * 2)
    assert np.std(compress(loud, -20, 8)[:, 12_000:]) < 0.4 * np.std(loud)
    assert np.allclose(compress(soft, -20, 8), soft, atol=1e-4)


def test_reverb_rings_on_and_keeps_the_length() -> None:
    x = np.zeros((2, SAMPLE_RATE), np.float32)
    x[:, 100] = 1
    out = reverb(x, room(np.random.default_rng(0), 1.0), 0.5)
    early, late = np.abs(out[:, 2_400:9_600]).mean(), np.abs(out[:, 36_000:]).mean()
    assert out.shape == x.shape and early > 10 * late > 0 and not np.any(out[:, :100].round(4))


def test_echo_pan_and_pump() -> None:
    x = np.zeros((2, SAMPLE_RATE), np.float32)
    x[0, 0] = 1
    out = echo(x, 0.25, 0.5, 0.4, True)
    assert out[1, 12_000] == pytest.approx(0.4) and out[0, 24_000] == pytest.approx(0.2)
    left = place(np.ones((2, 8), np.float32), -1.0, 1.0)
    assert np.allclose(left[1], 0, atol=1e-6) and np.allclose(left[0], np.sqrt(2))
    ducked = pump(np.ones((2, SAMPLE_RATE), np.float32), [0.5], 0.8, 0.2)
    assert ducked[0, 24_000] == pytest.approx(0.2, abs=0.01) and ducked[0, 40_000] == 1.0


def test_track_cuts_what_stands_out() -> None:
    track = Track(100)
    track.add(np.ones(50, np.float32), -20 / SAMPLE_RATE)
    track.add(np.ones((2, 50), np.float32), 90 / SAMPLE_RATE)
    track.add(np.ones(5, np.float32), 1.0)
    assert np.array_equal(np.flatnonzero(track.sound[0] > 0.99), [*range(30), *range(90, 100)])


def test_mixdown_keeps_sum_peak_and_silence() -> None:
    rng = np.random.default_rng(0)
    stems = rng.standard_normal((4, 2, SAMPLE_RATE)).astype(np.float32)
    stems[:, :, 20_000:20_100] *= 30
    stems[1] = 0
    out = mix_down(stems, rng)
    assert float(np.max(np.abs(out.sum(0)))) <= PEAK and not np.any(out[1]) and np.any(out[0])
    assert not np.any(mix_down(np.zeros((4, 2, 4_800), np.float32), rng))


def test_reading_at_another_speed() -> None:
    wave = np.round(sine(500, 1.0) * 32_768).astype(np.int16)
    source, out = np.stack([wave, wave]), np.empty((2, 20_000), np.float32)
    read_int16(source, 4_000, 1.0, out)
    assert np.array_equal(out[0], wave[4_000:24_000].astype(np.float32) / np.float32(32_768))
    read_int16(source, 4_000, 1.1, out)
    assert strongest(out[0]) == pytest.approx(550, rel=0.01)


def test_placement_of_ones_and_tilt() -> None:
    for seed in range(30):
        matrix = random_placement(np.random.default_rng(seed), 0.2, 0.5)
        assert matrix.shape == (2, 2) and float(np.max(np.abs(matrix))) < 2.0
    x = np.stack([sine(60, 0.5) + sine(9_000, 0.5)] * 2)
    tilt_and_place(x, 0.1, 2.0, 0.5, np.eye(2, dtype=np.float32))
    size = np.abs(np.fft.rfft(x[0][2_400:]))
    hz = np.fft.rfftfreq(len(x[0]) - 2_400, 1 / SAMPLE_RATE)
    assert size[np.argmin(abs(hz - 60))] > 3 * size[np.argmin(abs(hz - 9_000))]
