"""A file's channels through the model: one stream for each pair, stems put together again. Knows no files."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.blocks import channel_groups
from streamsep.audio.framer import Fifo

Block = NDArray[np.float32]


class Streams(Protocol):
    """Blocks of one song in, stems out; as many samples in all. ``latency`` in samples."""

    latency: int

    def push(self, block: Block) -> dict[str, Block]: ...

    def flush(self) -> dict[str, Block]: ...


class Separates(Protocol):
    """A loaded model of either mode."""

    stems: tuple[str, ...]

    def stream(self, rate: int, channels: int, lookahead: int = 0, seed: int | None = None) -> Streams: ...


class Splitter:
    """Streams ``channels`` channels at ``rate`` through ``separator``.

    ``push`` and ``flush`` give ``(mixture [channels, m], {stem: [channels, m]})`` aligned to the sample, m ≥ 0; all
    calls together give as many samples as were pushed. ``latency`` is that of the streams, in samples at ``rate``.
    """

    def __init__(self, separator: Separates, rate: int, channels: int, lookahead: int, seed: int | None) -> None:
        self.stems: tuple[str, ...] = tuple(separator.stems)
        self._groups = channel_groups(channels)
        self._streams = [
            separator.stream(rate=rate, channels=group.count, lookahead=lookahead, seed=seed) for group in self._groups
        ]
        self.latency: int = self._streams[0].latency
        self._mixture = Fifo(channels)
        # One queue a group: nothing promises that groups answer in equal pieces.
        self._waiting = [{stem: Fifo(group.count) for stem in self.stems} for group in self._groups]

    def push(self, block: Block) -> tuple[Block, dict[str, Block]]:
        self._mixture.push(block)
        for group, stream, waiting in zip(self._groups, self._streams, self._waiting, strict=True):
            for stem, sound in stream.push(group.take(block)).items():
                waiting[stem].push(sound)
        return self._collect()

    def flush(self) -> tuple[Block, dict[str, Block]]:
        for stream, waiting in zip(self._streams, self._waiting, strict=True):
            for stem, sound in stream.flush().items():
                waiting[stem].push(sound)
        return self._collect()

    def _collect(self) -> tuple[Block, dict[str, Block]]:
        ready = min(len(fifo) for waiting in self._waiting for fifo in waiting.values())
        stems = {
            stem: np.concatenate([waiting[stem].pop(ready) for waiting in self._waiting], axis=0) for stem in self.stems
        }
        return self._mixture.pop(ready), stems
