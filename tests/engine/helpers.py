"""Ways to feed a stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.config import STEMS
from streamsep.engine.batch import Batch
from streamsep.engine.lane import Lane
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


class Player:
    """One stream of a batch: its whole song waits in its lane; keeps its stems."""

    def __init__(self, batch: Batch, sound: Sound, rate: int, lookahead: int, seed: int | None = None) -> None:
        self.slot = batch.open(lookahead, seed)
        self.lane = Lane(batch.settings, rate, sound.shape[0], lookahead)
        self.channels = sound.shape[0]
        self.parts: list[Sound] = []
        self.lane.push(sound)
        self.lane.end()

    def give(self, stems: Sound) -> None:
        sides = stems.mean(1, keepdims=True, dtype=np.float32) if self.channels == 1 else stems
        self.lane.give(sides.reshape(-1, sides.shape[-1]))
        self.parts.append(self.lane.take())

    def stems(self) -> Sound:
        joined = np.concatenate(self.parts, axis=1)
        return joined.reshape(len(STEMS), self.channels, -1)


def play(batch: Batch, players: list[Player], rng: np.random.Generator | None = None) -> None:
    """Tick until all are through; with ``rng`` only a random choice of those due at a time."""
    while due := [player for player in players if player.lane.due()]:
        if rng is not None:
            due = [player for player in due if rng.random() < 0.7] or due[:1]
        out = batch.tick({player.slot: to_stereo(player.lane.next()) for player in due})
        for player in due:
            player.give(out[player.slot])
