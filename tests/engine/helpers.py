"""Ways to feed a stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streamsep.config import STEMS
from streamsep.engine.stream import Stream

Sound = NDArray[np.float32]


def feed(stream: Stream, sound: Sound, blocks: Iterable[int]) -> Sound:
    """Push ``sound`` in ``blocks`` (repeated as needed) and flush: [S, channels, samples]."""
    parts, start = [], 0
    for size in itertools.cycle(blocks):
        if start >= sound.shape[1]:
            break
        parts.append(stream.push(sound[:, start : start + size]))
        start += size
    parts.append(stream.flush())
    return np.stack([np.concatenate([part[stem] for part in parts], axis=1) for stem in STEMS])


def stack(stems: dict[str, Sound]) -> Sound:
    return np.stack([stems[stem] for stem in STEMS])
