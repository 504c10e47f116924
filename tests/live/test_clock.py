"""Two clocks that disagree, simulated: the buffer stays, the pitch stays."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.config import FRAME
from streamsep.live.adapt import DELAY, AdaptiveResampler
from streamsep.live.clock import MAX_CORRECTION, ClockFilter, Servo

CENT = 2 ** (1 / 1_200) - 1


def simulate(ppm: float, seconds: float, jitter: float = 0.002, block: int = 960) -> tuple[np.ndarray, np.ndarray]:
    """Distances (true, samples) and corrections of every output callback; the input runs ``ppm`` fast."""
    rng = np.random.default_rng(1)
    heard, servo = ClockFilter(), Servo()
    period = block / 48_000
    count, played, delay = 0, -5_000.0, 5_000
    distances, corrections = [], []
    for index in range(round(seconds / period)):
        now = index * period
        while (count + block) / (48_000 * (1 + ppm * 1e-6)) <= now:
            count += block
            heard.update(count / (48_000 * (1 + ppm * 1e-6)) + rng.uniform(0, jitter), count)
        late = now + rng.uniform(0, jitter)
        correction = servo.update(late, heard.at(late) - played - delay) if count else 0.0
        played += block * (1 + correction)
        distances.append(now * 48_000 * (1 + ppm * 1e-6) - played - delay)
        corrections.append(correction)
    return np.array(distances), np.array(corrections)


@pytest.mark.parametrize("ppm", [-200, 50, 200])
def test_the_buffer_stays_within_a_frame_and_the_pitch_within_a_cent(ppm: float) -> None:
    distances, corrections = simulate(ppm, 400)
    assert np.abs(distances - distances[:250].mean()).max() < FRAME
    assert np.abs(corrections).max() <= MAX_CORRECTION < CENT
    # Settled, what is heard runs with the input's clock: the pitch is the song's.
    assert np.abs(corrections[-5_000:] - ppm * 1e-6).max() < 30e-6


def test_one_clock_is_not_corrected() -> None:
    assert np.abs(simulate(0, 200)[1]).max() == 0


def test_the_filter_follows_a_jump_and_smooths_jitter() -> None:
    heard, rng = ClockFilter(), np.random.default_rng(2)
    for index in range(2_000):
        heard.update(index * 0.02 + rng.uniform(0, 0.004), index * 960)
    assert abs(heard.at(40.0) - 40.0 * 48_000) < 150
    heard.update(41.0, 1_000_000)
    assert heard.at(41.0) == 1_000_000


def test_at_speed_one_samples_pass_untouched() -> None:
    rng = np.random.default_rng(3)
    song = rng.standard_normal((2, 4_000)).astype(np.float32)
    at = 0

    def source(count: int) -> np.ndarray:
        nonlocal at
        at += count
        return song[:, at - count : at]

    adapt = AdaptiveResampler(2)
    out = np.concatenate([adapt.pull(count, 1.0, source) for count in (1, 960, 256, 2_000)], axis=1)
    assert np.array_equal(out[:, DELAY:], song[:, : out.shape[1] - DELAY])


def test_a_tone_stays_clean_while_the_speed_changes() -> None:
    tone = np.sin(2 * np.pi * 997 * np.arange(200_000) / 48_000).astype(np.float32)[None]
    at = 0

    def source(count: int) -> np.ndarray:
        nonlocal at
        at += count
        return tone[:, at - count : at]

    adapt, time, times, outs = AdaptiveResampler(1), 0.0, [], []
    for index in range(150):
        speed = 1 + 400e-6 * np.sin(index / 10) if index > 5 else 1.0
        outs.append(adapt.pull(960, speed, source))
        times.append(time + speed * np.arange(960))
        time += speed * 960
    out, when = np.concatenate(outs, axis=1)[0], np.concatenate(times) - DELAY
    wanted = np.sin(2 * np.pi * 997 * when / 48_000)
    assert np.abs(out - wanted)[2 * DELAY :].max() < 2e-4
