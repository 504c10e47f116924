"""The model process: reads the source ring, separates, writes the results ring. Knows positions; knows no devices."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import streamsep
from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.engine.pauses import settle
from streamsep.errors import StreamsepError
from streamsep.live.pace import Pace
from streamsep.live.priority import model_process
from streamsep.live.ring import Ring
from streamsep.live.status import FAILED, READY, Status

if TYPE_CHECKING:
    from streamsep.engine.stream import Stream

CHANNELS = 2
WIDTH = len(STEMS) * CHANNELS  # channels of the results ring: stem by stem, left and right
_POLL = 0.001  # seconds between two looks at the source: what a result may lose by waiting
_TURN = 0.01  # seconds between two looks of a spare process at whether it is needed
_BACKLOG = SAMPLE_RATE // 2  # samples behind the input after which catching up is given up
_PRIME = SAMPLE_RATE // 2  # samples of the past that a new process hears first, so that it does not start deaf
_CATCH_UP = SAMPLE_RATE  # samples from a start on in which results may be late: the past was heard first


@dataclass(frozen=True)
class WorkerSpec:
    """What a model process is started with: the model, and the names and sizes of the shared memory."""

    model: str
    device: str
    decode: str
    lookahead: int
    threads: int
    source: str
    source_capacity: int
    results: str
    results_capacity: int
    status: str


def run(spec: WorkerSpec, slot: int) -> None:
    """Load, wait for the turn of ``slot`` (see ``Status``), separate. Until told to stop, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()
    assert parent is not None
    status = Status.attach(spec.status)
    model_process(waiting=status.get("active") != slot)
    try:
        separator = streamsep.load(spec.model, spec.device, decode=spec.decode, threads=spec.threads)
        stream = separator.stream(SAMPLE_RATE, CHANNELS, lookahead=spec.lookahead)
        _warm_up(stream)
        settle()
    except StreamsepError as error:
        status.set_state(slot, FAILED)
        print(f"streamsep: {error}", file=sys.stderr)
        sys.exit(2)
    status.set("latency", stream.latency)
    status.set_state(slot, READY)

    def needed() -> bool:
        return not status.get("stop") and os.getppid() == parent.pid  # as it was at the start

    while needed() and status.get("active") != slot:
        time.sleep(_TURN)
    if needed():
        model_process(waiting=False)
        _separate(spec, stream, status, needed)


def _separate(spec: WorkerSpec, stream: Stream, status: Status, needed: Callable[[], bool]) -> None:
    source = Ring.attach(spec.source, CHANNELS, spec.source_capacity)
    results = Ring.attach(spec.results, WIDTH, spec.results_capacity)
    pace = Pace()
    strict = source.end + _CATCH_UP
    position = max(source.begin, source.end - _PRIME, 0)
    _go_on(results, position, status.get("playhead"))
    while needed():
        waiting = source.end - position
        if waiting <= 0:
            time.sleep(_POLL)
            continue
        if waiting > _BACKLOG + _PRIME and results.end < status.get("playhead"):
            stream.reset()
            strict = source.end + _CATCH_UP
            position = source.end - _PRIME
            _go_on(results, position, status.get("playhead"))
            status.add("skips")
            continue
        begun = time.perf_counter()
        count = min(waiting, FRAME)
        block = source.read(position, count)
        if block is None:  # overwritten: the process was stopped for seconds
            block = np.zeros((CHANNELS, count), np.float32)
        stream.hurried = pace.hurried(begun)
        stems = stream.push(block)
        position += count
        sound = np.concatenate([stems[stem] for stem in STEMS])
        if sound.shape[1]:
            if strict <= results.end < status.get("playhead"):
                status.add("late")
                pace.late(begun)
            status.add("hurried", int(stream.hurried))
            results.write(sound)
            status.record(round(1e6 * (time.perf_counter() - begun)), source.end - results.end)


def _go_on(results: Ring, position: int, heard: int) -> None:
    """Results go on at ``position``. What is passed over is silence if its time is over anyway (before ``heard``): so
    a recording still gets what lies before it.
    """
    if results.end < position <= heard and position - results.end <= results.capacity // 2:
        results.write(np.zeros((WIDTH, position - results.end), np.float32))
    else:
        results.restart(position)


def _warm_up(stream: Stream) -> None:
    """Both ways of computing a frame, once."""
    for hurried in (True, False):
        stream.hurried = hurried
        stream.push(np.zeros((CHANNELS, 4 * FRAME), np.float32))
    stream.reset()
