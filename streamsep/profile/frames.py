"""Frames through one stream, each one's stages on the clock. Knows pace and tracer; sums nothing up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.engine.stream import Stream
from streamsep.profile.probes import STAGES, attached
from streamsep.profile.tracer import Span, Tracer

Sound = NDArray[np.float32]
Values = NDArray[np.float64]

WARM_UP = 50  # frames: caches fill, compiled kernels load, windows of attention fill


@dataclass(frozen=True)
class Frames:
    """``stages`` [frames, stages] milliseconds in the order of ``STAGES``; ``late`` [frames]: milliseconds from when a
    frame's last sample was heard to when its stems were there, only when paced. ``parts``: name → calls and
    milliseconds a frame.
    """

    stages: Values
    late: Values
    parts: dict[str, tuple[float, float]]
    spans: list[Span]
    wall_seconds: float

    @property
    def total(self) -> Values:
        """[frames] milliseconds of computing."""
        return self.stages.sum(1)


def measure_frames(
    stream: Stream,
    song: Sound,
    frames: int,
    paced: bool = False,
    kept: int = 0,
    step: Callable[[int], None] = lambda _: None,
) -> Frames:
    """Push ``song`` [channels, samples at the stream's rate] over and over, 40 ms at a time, after a warm-up.

    ``paced``: a block is pushed when its last sample would have been recorded. The calls of the last ``kept`` frames
    stay in ``spans``. ``step`` is called with the number of frames done.
    """
    blocks = _blocks(song, stream.rate)
    for index in range(WARM_UP):
        stream.push(blocks[index % len(blocks)])
    stages, late = np.zeros((frames, len(STAGES))), np.zeros(frames)
    tracers = Tracer(), Tracer(keep=True)
    begin = time.perf_counter()
    for first, stop, tracer in ((0, frames - kept, tracers[0]), (frames - kept, frames, tracers[1])):
        with attached(stream, tracer):
            for index in range(first, stop):
                due = begin + (index + 1) * FRAME / SAMPLE_RATE
                if paced:
                    time.sleep(max(0.0, due - time.perf_counter()))
                stream.push(blocks[(WARM_UP + index) % len(blocks)])
                late[index] = 1_000 * (time.perf_counter() - due)
                taken = tracer.take()
                stages[index] = [taken.get(stage, 0) / 1e6 for stage in STAGES]
                step(index + 1)
    wall = time.perf_counter() - begin
    return Frames(stages, late if paced else late[:0], _parts(tracers, frames), tracers[1].spans, wall)


def _blocks(song: Sound, rate: int) -> list[Sound]:
    """Blocks of 40 ms; a rest that is shorter is left out."""
    size = round(FRAME * rate / SAMPLE_RATE)
    return [np.ascontiguousarray(song[:, start : start + size]) for start in range(0, song.shape[1] - size + 1, size)]


def _parts(tracers: tuple[Tracer, ...], frames: int) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for tracer in tracers:
        for name, (calls, own) in tracer.parts().items():
            before = found.get(name, (0.0, 0.0))
            found[name] = before[0] + calls / frames, before[1] + own / 1e6 / frames
    return found
