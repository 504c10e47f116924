"""The model process: reads the source ring, separates, writes the results ring. Knows positions; knows no devices."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass

import numpy as np

import streamsep
from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.errors import StreamsepError
from streamsep.live.ring import Ring
from streamsep.live.status import FAILED, READY, Status

CHANNELS = 2
WIDTH = len(STEMS) * CHANNELS  # channels of the results ring: stem by stem, left and right
_POLL = 0.001  # seconds between two looks at the source: what a result may lose by waiting
_BACKLOG = SAMPLE_RATE // 2  # samples behind the input after which catching up is given up
_PRIME = SAMPLE_RATE // 2  # samples of the past that a new process hears first, so that it does not start deaf


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


def run(spec: WorkerSpec) -> None:
    """Separate until told to stop, or until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = os.getppid()
    source = Ring.attach(spec.source, CHANNELS, spec.source_capacity)
    results = Ring.attach(spec.results, WIDTH, spec.results_capacity)
    status = Status.attach(spec.status)
    try:
        separator = streamsep.load(spec.model, spec.device, decode=spec.decode, threads=spec.threads)
        stream = separator.stream(SAMPLE_RATE, CHANNELS, lookahead=spec.lookahead)
        stream.push(np.zeros((CHANNELS, 4 * FRAME), np.float32))
        stream.reset()
    except StreamsepError as error:
        status.set("state", FAILED)
        print(f"streamsep: {error}", file=sys.stderr)
        sys.exit(2)
    status.set("latency", stream.latency)
    position = max(source.begin, source.end - _PRIME, 0)
    results.restart(position)
    status.set("state", READY)
    while not status.get("stop") and os.getppid() == parent:
        waiting = source.end - position
        if waiting <= 0:
            time.sleep(_POLL)
            continue
        if waiting > _BACKLOG + _PRIME and results.end < status.get("playhead"):
            stream.reset()
            position = source.end - _PRIME
            results.restart(position)
            status.add("skips")
            continue
        begun = time.perf_counter()
        count = min(waiting, FRAME)
        block = source.read(position, count)
        if block is None:  # overwritten: the process was stopped for seconds
            block = np.zeros((CHANNELS, count), np.float32)
        stems = stream.push(block)
        position += count
        sound = np.concatenate([stems[stem] for stem in STEMS])
        if sound.shape[1]:
            if results.end < status.get("playhead"):
                status.add("late")
            results.write(sound)
            status.record(round(1e6 * (time.perf_counter() - begun)), source.end - results.end)
