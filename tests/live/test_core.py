"""Capture and play around a real model process: aligned, the same stems as offline, and what a kill sounds like."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import streamsep
from streamsep.config import FRAME
from streamsep.errors import StreamsepError
from streamsep.live.core import Core, Format, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.mixer import FADE
from tests.sounds import tune

BLOCK = 960


@pytest.fixture
def core(model: Path, request: pytest.FixtureRequest) -> Iterator[Core]:
    """``indirect`` parameter: with a spare process."""
    with Core(ModelOptions(model=str(model), spare=getattr(request, "param", False)), Gains("all")) as core:
        core.start(200)
        core.open(Format(block=BLOCK))
        yield core


@pytest.fixture
def idle() -> Iterator[Core]:
    """Without a model process: what is dry needs none."""
    with Core(ModelOptions(), Gains("all")) as core:
        yield core


def drive(core: Core, song: np.ndarray, wait: bool = True, start: int = 0) -> np.ndarray:
    """The song [2, n] through both callbacks; ``wait``: at the model's pace, whatever else the machine does."""
    out = []
    for at in range(start, song.shape[1] - BLOCK + 1, BLOCK):
        core.capture(song[:, at : at + BLOCK].T, at / 48_000)
        deadline = time.monotonic() + 20
        while wait and core.results.end < core.source.end - core.mixer.delay + BLOCK and time.monotonic() < deadline:
            time.sleep(0.001)
        out.append(core.play(BLOCK, at / 48_000))
    return np.concatenate(out).T


def test_all_stems_are_the_delayed_input_and_one_stem_is_that_of_separate(core: Core, model: Path) -> None:
    song = tune(4.0, 48_000)
    core.gains.set_mute("vocals", True)
    out = drive(core, song)
    late = core.latency
    stems = streamsep.load(str(model)).separate(song, 48_000)
    wanted = song - stems["vocals"]
    steady = slice(late + 24_000, out.shape[1])
    error = out[:, steady] - wanted[:, 24_000 : out.shape[1] - late]
    assert np.sqrt(np.mean(error**2)) < 1e-4 * np.sqrt(np.mean(wanted**2))
    core.gains.set_mute("vocals", False)
    again = drive(core, np.concatenate([song, song], axis=1), start=song.shape[1])
    double = np.concatenate([song, song], axis=1)[:, song.shape[1] - late :]
    assert np.abs(again[:, 9_600:] - double[:, 9_600 : again.shape[1]]).max() < 1e-5
    assert core.mixer.counts.underruns == 0


def check_until(core: Core, condition: Callable[[], bool]) -> list[str]:
    """Let the supervisor do its work; what it said."""
    lines, deadline = [], time.monotonic() + 300
    while not condition() and time.monotonic() < deadline:
        lines += [said for said in [core.supervisor.check()] if said]
        time.sleep(0.05)
    assert condition()
    return lines


@pytest.mark.timeout(900)  # loads the model twice, and a busy machine takes minutes for that
@pytest.mark.parametrize("core", [False, True], indirect=True, ids=["no spare", "spare"])
def test_killed_the_model_comes_back_and_the_sound_goes_dry_in_between(
    core: Core, request: pytest.FixtureRequest
) -> None:
    spare = "no spare" not in request.node.name
    song = tune(20.0, 48_000)
    core.gains.preset("karaoke")
    if spare:
        assert check_until(core, lambda: core.supervisor.spare_ready) == []
    before = drive(core, song[:, : 48 * BLOCK])
    pid = core.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    gap = drive(core, song[:, : 100 * BLOCK], wait=False, start=48 * BLOCK)
    at, late = 48 * BLOCK, core.latency
    dry = song[:, at - late : at - late + gap.shape[1]]
    # What the model had finished is played; from then on, within a frame and the mixer's margin, the mixture.
    soon = late - core.status.get("latency") + FRAME
    assert np.abs(gap[:, soon:] - dry[:, soon:]).max() < 1e-6
    assert core.mixer.counts.fallbacks == 1
    line = core.supervisor.check()
    assert line is not None and "killed by SIGKILL" in line and line.count("\n") == 0
    if spare:
        assert "its spare takes over" in line and core.supervisor.ready and core.supervisor.pid != pid
        assert check_until(core, lambda: core.supervisor.spare_ready) == []  # the next one waits already
    else:
        assert "restarts" in line
        lines = check_until(core, lambda: core.supervisor.ready)
        lines += [said for said in [core.supervisor.check()] if said]
        assert len(lines) == 1 and "is back" in lines[0]
    after = drive(core, song[:, : 300 * BLOCK], start=100 * BLOCK)
    dry = song[:, 100 * BLOCK - late : 100 * BLOCK - late + after.shape[1]]
    assert np.abs(after[:, -48_000:] - dry[:, -48_000:]).max() > 1e-3  # separated again
    sound = np.concatenate([before, gap, after], axis=1)
    assert np.abs(np.diff(sound)).max() < 1.3 * np.abs(np.diff(song)).max()


@pytest.mark.parametrize(
    ("in_rate", "out_rate", "channels"), [(44_100, 48_000, (2, 3)), (48_000, 44_100, (0,)), (96_000, 16_000, (0, 1))]
)
def test_other_rates_and_channels(idle: Core, in_rate: int, out_rate: int, channels: tuple[int, ...]) -> None:
    idle.gains.set_dry_wet(0)
    idle.open(Format(in_rate, out_rate, channels, (2, 3), block=out_rate // 50, one_clock=True))
    seconds = 1.0
    time_in, time_out = np.arange(in_rate) / in_rate, np.arange(out_rate) / out_rate
    heard = np.zeros((in_rate, 4), np.float32)
    heard[:, channels[0]] = np.sin(2 * np.pi * 440 * time_in)
    out = []
    for index in range(50):
        part = heard[index * in_rate // 50 : (index + 1) * in_rate // 50]
        idle.capture(part, index / 50)
        out.append(idle.play(out_rate // 50, index / 50))
    sound = np.concatenate(out)
    assert sound.shape == (out_rate * seconds, 4)
    assert np.abs(sound[:, :2]).max() == 0
    late = idle.latency / 48_000
    wanted = np.sin(2 * np.pi * 440 * (time_out - late))
    steady = slice(out_rate // 2, None)
    error = sound[steady, 2] - wanted[steady]
    assert np.sqrt(np.mean(error**2)) < 0.15  # within a sample of the lowest rate: delays are whole samples
    assert idle.mixer.counts.underruns == 0
    assert idle.mixer.counts.resyncs == 1


@pytest.mark.parametrize("block", [BLOCK, 9_600])
def test_two_clocks_apart_never_run_dry(idle: Core, block: int) -> None:
    idle.gains.set_dry_wet(0)
    idle.open(Format(block=block, one_clock=False))
    song, heard = tune(60.0, 48_000), 0
    for index in range(song.shape[1] // block - 1):
        now = index * block / 48_000 / 1.0002  # the output's clock is 200 ppm fast
        while (heard + 1) * block / 48_000 <= now:
            idle.capture(song[:, heard * block : (heard + 1) * block].T, (heard + 1) * block / 48_000)
            heard += 1
        if heard:
            idle.play(block, now)
    assert idle.mixer.counts.underruns == 0
    assert idle.mixer.counts.resyncs == 1  # the opening
    assert abs(idle.mixer.fill - idle.mixer.delay) < max(FRAME, 1.1 * block)  # it falls by a block a callback
    assert idle.correction == pytest.approx(-200e-6, abs=200e-6)


@pytest.mark.parametrize("slipped", [False, True])
def test_an_input_that_is_unplugged_is_silence_and_no_echo_of_what_it_said_last(idle: Core, slipped: bool) -> None:
    idle.gains.set_dry_wet(0)
    idle.open(Format(block=BLOCK, one_clock=False))
    song, out = tune(2.0, 48_000), []
    for index in range(250):
        now = (index + 0.5) * BLOCK / 48_000
        if not 50 <= index < 200:
            at = index % 50 * BLOCK
            idle.capture(song[:, at : at + BLOCK].T, now)
        elif slipped and index == 60:
            idle.slip(now)
        out.append(idle.play(BLOCK, now))
    late = math.ceil(idle.latency / BLOCK) + 2  # and the fade
    assert np.abs(np.concatenate(out[50 + late : 200])).max() < 1e-6
    assert idle.mixer.counts.resyncs == 1 and idle.mixer.counts.underruns == 1
    assert np.abs(out[-1]).max() > 0.01


@pytest.mark.parametrize("one_clock", [True, False])
def test_after_a_pause_nothing_is_heard_that_came_before_it(idle: Core, one_clock: bool) -> None:
    idle.gains.set_dry_wet(0)
    idle.open(Format(block=BLOCK, one_clock=one_clock))
    drive(idle, tune(1.0, 48_000), wait=False)
    for _ in range(2):  # the devices do not start at once
        idle.open(Format(block=BLOCK, one_clock=one_clock))
    out = [idle.play(BLOCK, 1.0)] if not one_clock else []
    quiet = np.zeros((BLOCK, 2), np.float32)
    for index in range(50):
        idle.capture(quiet, 1 + index * BLOCK / 48_000)
        out.append(idle.play(BLOCK, 1 + index * BLOCK / 48_000))
    assert np.abs(np.concatenate(out)[8 * FADE :]).max() < 1e-5  # only the last sample of before fades out


def test_a_pause_adds_no_silence_before_anything_was_heard(idle: Core) -> None:
    for _ in range(2):
        idle.open(Format(block=BLOCK))
    assert idle.source.end == 0


@pytest.mark.parametrize("in_rate", [8_000, 24_000, 96_000])
def test_the_inputs_rate_does_not_change_how_long_a_callback_lasts(idle: Core, in_rate: int) -> None:
    assert idle.wanted_delay(Format(in_rate, one_clock=False)) == idle.wanted_delay(Format(one_clock=False))


def test_a_model_that_is_none_is_said_before_anything_starts() -> None:
    with Core(ModelOptions(model="huge"), Gains()) as core, pytest.raises(StreamsepError, match="huge"):
        core.start(200)
