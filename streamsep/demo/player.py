"""A song streamed through the engine frame by frame, at the pace at which it would be heard. Knows time, not stems."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]


class Stream(Protocol):
    """What the engine's streams offer."""

    @property
    def latency(self) -> int: ...

    def push(self, block: Sound) -> dict[str, Sound]: ...

    def flush(self) -> dict[str, Sound]: ...

    def reset(self) -> None: ...


@dataclass(frozen=True)
class Tick:
    """One frame done: ``played`` seconds of the song are heard, its stems [channels, n] took ``milliseconds``."""

    played: float
    milliseconds: float
    mixture: Sound
    stems: Mapping[str, Sound]


@dataclass(frozen=True)
class Played:
    """Stems [channels, samples] aligned with the song, and what each frame cost in ms."""

    stems: dict[str, Sound]
    frame_ms: list[float]
    wall_seconds: float


def play(
    stream: Stream,
    song: Sound,
    rate: int,
    block: int,
    paced: bool = True,
    heard: Callable[[Tick], None] = lambda _: None,
    warm_up: int = 25,
) -> Played:
    """Push ``song`` [channels, samples] through ``stream`` in blocks.

    When ``paced``, a block is pushed once its last sample would have been recorded; else at once. ``warm_up`` blocks
    are pushed before the clock starts and forgotten: the first ones load compiled code.
    """
    for start in range(0, min(warm_up * block, song.shape[1]), block):
        stream.push(song[:, start : start + block])
    stream.reset()
    parts: list[dict[str, Sound]] = []
    times: list[float] = []
    begin = time.perf_counter()
    for start in range(0, song.shape[1], block):
        sound = song[:, start : start + block]
        end = (start + sound.shape[1]) / rate
        if paced:
            time.sleep(max(0.0, begin + end - time.perf_counter()))
        pushed = time.perf_counter()
        parts.append(stream.push(sound))
        times.append(1_000 * (time.perf_counter() - pushed))
        heard(Tick(end, times[-1], sound, parts[-1]))
    parts.append(stream.flush())
    wall = time.perf_counter() - begin
    stems = {stem: np.concatenate([part[stem] for part in parts], axis=1) for stem in parts[0]}
    return Played(stems, times, wall)
