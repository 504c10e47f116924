"""How fast the real model is here: frames of music-like sound pushed through one stream, one after the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.evaluate.timing import frame_summary

if TYPE_CHECKING:
    from streamsep.engine.separator import Separator

WARM_UP = 25  # frames: caches fill, compiled kernels load


def speed_check(model: str, device: str, threads: tuple[int, ...] = (1, 2), seconds: float = 5.0) -> dict[str, Any]:
    """Frame times of ``model`` with each number of torch threads, ``seconds`` in all; warming up comes on top.

    Raises StreamsepError when the model or the device is unknown.
    """
    import torch

    import streamsep

    begin = time.perf_counter()
    separator = streamsep.load(model, device)
    loaded = time.perf_counter() - begin
    before = torch.get_num_threads()
    rows: list[dict[str, Any]] = []
    try:
        for count in threads:
            torch.set_num_threads(count)
            times = frame_times(separator, seconds / len(threads))
            rows.append({"threads": count, **frame_summary(times)})
    finally:
        torch.set_num_threads(before)
    return {"model": model, "device": device, "load_seconds": round(loaded, 3), "rows": rows}


def frame_times(separator: Separator, seconds: float) -> list[float]:
    """Milliseconds each pushed frame took, for ``seconds`` on the clock after a warm-up."""
    stream = separator.stream(rate=SAMPLE_RATE, channels=2)
    sound = chord_and_pulse(20 * FRAME)
    times: list[float] = []
    until, pushed = None, 0
    while until is None or time.perf_counter() < until:
        start = pushed % 20 * FRAME
        begin = time.perf_counter()
        stream.push(sound[:, start : start + FRAME])
        end = time.perf_counter()
        pushed += 1
        if pushed == WARM_UP:
            until = end + seconds
        elif until is not None:
            times.append(1_000 * (end - begin))
    return times


def chord_and_pulse(samples: int) -> NDArray[np.float32]:
    """[2, samples] float32: a chord, a pulse four times a second and a little noise; loops without a click at 0.8 s."""
    time_ = np.arange(samples) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * frequency * time_) for frequency in (55.0, 220.0, 277.5, 330.0))
    rng = np.random.default_rng(0)
    pulse = rng.standard_normal((2, samples)) * np.exp(-30 * (time_ % 0.25))
    return (0.08 * chord + 0.2 * pulse + 0.005 * rng.standard_normal((2, samples))).astype(np.float32)
