"""A stream's latency by impulse: a click goes in, and one waits for it to come out. Knows streams from outside only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

_SECONDS = 0.4  # of silence around the click
_PLACES = 8  # where in a frame the click falls: the frame it must wait for is not always as far away


class Pushed(Protocol):
    """A stream whose output is aligned with its input."""

    def push(self, block: Sound) -> dict[str, Sound]: ...


@dataclass(frozen=True)
class ImpulseLatency:
    """``samples``: from when a sample was heard to when its stems were there, the longest of all places; ``offset``:
    how far from its place the click is in the sum of the stems (0: aligned).
    """

    samples: int
    offset: int


def impulse_latency(make: Callable[[], Pushed], rate: int, frame: int, block: int) -> ImpulseLatency:
    """Push clicks at several places of a frame of ``frame`` samples, ``block`` samples at a time; two channels.

    Time counts in samples pushed: computing takes none of it. The result is exact to ``block`` samples.
    """
    count = round(_SECONDS * rate)
    found: list[ImpulseLatency] = []
    for number in range(_PLACES):
        place = count // 3 // frame * frame + number * frame // _PLACES
        sound = np.zeros((2, count), np.float32)
        sound[:, place] = 0.5
        found.append(_one(make(), sound, place, block))
    longest = max(found, key=lambda one: one.samples)
    return ImpulseLatency(longest.samples, max((one.offset for one in found), key=abs))


def _one(stream: Pushed, sound: Sound, place: int, block: int) -> ImpulseLatency:
    parts: list[Sound] = []
    given, there = 0, 0
    for start in range(0, sound.shape[1], block):
        stems = stream.push(sound[:, start : start + block])
        parts.append(np.sum([*stems.values()], axis=0))
        given += parts[-1].shape[1]
        if given > place and not there:
            there = start + block
    heard = np.abs(np.concatenate(parts, axis=1).sum(0))
    peak = int(heard.argmax()) if heard.any() else place
    return ImpulseLatency(there - place, peak - place)
