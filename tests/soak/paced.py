"""Callbacks as a sound card makes them, one every block, around a core with its real model process."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import streamsep
from streamsep.live.core import Core, Format, ModelOptions
from streamsep.live.gains import Gains
from streamsep.live.mixer import FADE
from streamsep.live.priority import audio_thread
from streamsep.live.watch import Watch

Sound = NDArray[np.float32]
RATE = 48_000
_SETTLE = 2.0  # seconds before anything is counted


@dataclass
class Counted:
    """Of the callbacks after the first two seconds. Times in milliseconds."""

    callbacks: int = 0
    overdue: int = 0  # callbacks that ended after the next one was due
    clicks: int = 0  # steps larger than any of the song, with or without its singer
    longest: float = 0.0
    late: int = 0
    hurried: int = 0
    drops: int = 0
    fallbacks: int = 0
    fallback_seconds: float = 0.0
    underruns: int = 0
    margin: tuple[float, float] = (0.0, 0.0)
    latency: tuple[float, float] = (0.0, 0.0)
    compute: tuple[float, float, float] = (0.0, 0.0, 0.0)  # p50, p99, most of the last 512 frames
    said: list[str] = field(default_factory=list)


def largest_step(song: Sound, model: str) -> float:
    """The largest step from sample to sample that is no click: the song's, or that of the song without its singer, and
    what a fade between the two adds."""
    vocals = streamsep.load(model).separate(song, RATE)["vocals"]
    round_ = [np.concatenate([sound, sound[:, :1]], axis=1) for sound in (song, song - vocals)]
    steps = max(float(np.abs(np.diff(sound)).max()) for sound in round_)
    return 1.001 * steps + float(np.abs(vocals).max()) / FADE


def run(
    core: Core,
    song: Sound,
    largest: float,
    block: int,
    count: int,
    during: Callable[[float], None] = lambda seconds: None,
) -> Counted:
    """``count`` callbacks with ``song`` [2, n] over and over; steps above ``largest`` are clicks. ``during`` is called
    now and then, with the time.
    """
    core.open(Format(block=block))
    counted, settle = Counted(), round(_SETTLE * RATE / block)
    thread = threading.Thread(target=_callbacks, args=(core, song, largest, block, count + settle, settle, counted))
    watch = Watch(core)
    thread.start()
    begun, first = time.monotonic(), None
    while thread.is_alive():
        time.sleep(0.1)
        counted.said += [line for line in (core.supervisor.check(), watch.check()) if line]
        if first is None and time.monotonic() - begun > _SETTLE:
            first = _numbers(core)
            counted.margin, counted.latency = (core.margin, 0.0), (core.latency / 48, 0.0)
        if first is not None:
            during(time.monotonic() - begun - _SETTLE)
    last = _numbers(core)
    for name, value in last.items():
        setattr(counted, name, value - (first or last)[name])
    counted.margin, counted.latency = (counted.margin[0], core.margin), (counted.latency[0], core.latency / 48)
    times = core.status.times()
    counted.compute = tuple(np.percentile(times, [50, 99, 100])) if len(times) else (0.0, 0.0, 0.0)
    return counted


def _numbers(core: Core) -> dict[str, float]:
    counts = core.mixer.counts
    return {
        "late": core.status.get("late"),
        "hurried": core.status.get("hurried"),
        "drops": core.status.get("skips"),
        "fallbacks": counts.fallbacks,
        "fallback_seconds": counts.fallback_samples / RATE,
        "underruns": counts.underruns,
    }


def _callbacks(core: Core, song: Sound, largest: float, block: int, count: int, settle: int, counted: Counted) -> None:
    audio_thread()
    whole = np.concatenate([song, song[:, :block]], axis=1).T
    last = np.zeros((1, 2), np.float32)
    begun = time.perf_counter()
    for index in range(count):
        due = begun + index * block / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        at = index * block % song.shape[1]
        now = time.perf_counter()
        core.capture(whole[at : at + block], now)
        out = core.play(block, now)
        passed = time.perf_counter() - due
        if index >= settle:
            counted.callbacks += 1
            counted.overdue += passed > block / RATE
            counted.longest = max(counted.longest, 1_000 * passed)
            steps = np.abs(np.diff(np.concatenate([last, out]), axis=0))
            counted.clicks += int(np.count_nonzero(steps > largest))
        last = out[-1:]


@contextmanager
def core(options: ModelOptions, preset: str = "karaoke") -> Iterator[Core]:
    with Core(options, Gains(preset)) as made:
        made.start(200)
        yield made


@contextmanager
def one_core_busy(busy: bool) -> Iterator[None]:
    """Another program that computes without a pause."""
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    if busy:
        process.start()
    try:
        yield
    finally:
        if busy:
            process.kill()
            process.join()


def _spin() -> None:
    while True:
        pass
