"""The jitter buffer: nothing clicks, whatever the network does; and it is no longer than it need be."""

from __future__ import annotations

import numpy as np
import pytest

from clients.python.speaker import Speaker

RATE = 48_000


def tone(first: int, count: int) -> np.ndarray:
    return np.repeat(np.sin(2 * np.pi * 100 * np.arange(first, first + count) / RATE)[None], 2, 0).astype(np.float32)


def steepest(sound: np.ndarray) -> float:
    return float(np.abs(np.diff(sound[:, 0])).max())


def test_a_steady_stream_is_played_as_it_is() -> None:
    speaker, heard = Speaker(RATE, 2), []
    for at in range(0, 2 * RATE, 1_920):
        speaker.push(tone(at, 1_920))
        heard += [speaker.pull(960), speaker.pull(960)]
    sound = np.concatenate(heard)
    start = int(np.argmax(np.abs(sound[:, 0]) > 0))
    assert speaker.underruns == speaker.skipped == 0
    start -= start % 960  # the tone begins with a zero
    np.testing.assert_array_equal(sound[start + 480 : start + RATE], tone(480, RATE - 480).T)


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_network_makes_no_clicks(seed: int) -> None:
    """Bursts and silences of up to 0.8 s: gaps, skips, but never a step in the waveform."""
    rng = np.random.default_rng(seed)
    speaker, heard, at, due = Speaker(RATE, 2), [], 0, 0
    for block in range(40 * 50):
        due += 960
        if rng.random() < 0.06:
            speaker.push(tone(at, due - at))
            at = due
        heard.append(speaker.pull(960))
        if block > 1_000 and rng.random() < 0.5 and due > at:
            speaker.push(tone(at, due - at))
            at = due
    sound = np.concatenate(heard)
    assert speaker.underruns > 5 and speaker.target > round(0.08 * RATE)
    assert steepest(sound) < 2 * steepest(tone(0, RATE).T)


def test_what_is_not_needed_is_skipped() -> None:
    speaker, at = Speaker(RATE, 2), 0
    speaker.push(tone(0, RATE // 2))  # half a second at once: a server that was late
    at = RATE // 2
    for _ in range(10 * 50):
        speaker.push(tone(at, 960))
        at += 960
        speaker.pull(960)
    assert speaker.underruns == 0 and speaker.skipped > 0.2 * RATE
    assert speaker.waiting < 0.2 * RATE


def test_a_flood_is_bounded() -> None:
    speaker = Speaker(RATE, 2)
    for second in range(20):
        speaker.push(tone(second * RATE, RATE))
        speaker.pull(960)
    assert speaker.waiting < 2 * RATE
