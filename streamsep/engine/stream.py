"""One stream: blocks of any size at any rate in, stems aligned to the sample out. Its lane counts, its batch computes.

Whatever the blocks, the stems are the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.audio.resample import output_length
from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.engine.batch import Batch
from streamsep.engine.lane import Lane, Sound
from streamsep.engine.levels import Level
from streamsep.engine.settings import Settings
from streamsep.model.net import Net

Codes = NDArray[np.int64]


class Stream:
    """Separates one stream; made by ``Separator.stream``.

    Attributes:
        latency: samples at the stream's rate after which a sample's stems are there, whatever the blocks.
        codes: with ``tokens`` in the settings, those [S, Q] of every frame from the first one that was emitted: frame
            0, at lookahead -1 frame 1. After ``flush`` none lies wholly past the end. Emptied by ``reset``.
        hurried: set while frames are late: the guide head alone separates, several times as fast; of the codec render
            the semantic tokens.

    Samples that are not finite, or absurdly loud, count as silence.
    """

    def __init__(
        self,
        net: Net,
        settings: Settings,
        rate: int,
        channels: int,
        lookahead: int = 0,
        seed: int | None = None,
        align: bool = True,
    ) -> None:
        self.rate, self.channels, self.lookahead = rate, channels, lookahead
        self.hurried = False
        self._settings = settings
        self._batch = Batch(net, 1, settings, graphs=False)  # recording one would hold up the first sound
        self._slot = self._batch.open(lookahead, seed)
        self._lane = Lane(settings, rate, channels, lookahead, align)
        self.latency = self._lane.latency
        self.codes: list[Codes] = []
        self._flushed = False

    def push(self, block: Sound) -> dict[str, Sound]:
        """Feed ``block`` [channels, n] float32, any n ≥ 0; get stem → [channels, m] float32.

        With ``align`` (the default) whatever is ready, the first sample out belonging to the first one in; without it
        m = n, ``latency`` samples late. After a flush a new song begins. Raises AudioError for another shape.
        """
        return self._named(self._push(block))[self._settings.decodes[0]]

    def flush(self) -> dict[str, Sound]:
        """End of the song: stem → the rest, so that as many samples have come out as went in (``latency`` more without
        ``align``).
        """
        return self._named(self._flush())[self._settings.decodes[0]]

    def push_all(self, block: Sound) -> dict[str, dict[str, Sound]]:
        """``push`` for a stream with several ways of decoding: decoding → stem → [channels, m]."""
        return self._named(self._push(block))

    def flush_all(self) -> dict[str, dict[str, Sound]]:
        """``flush`` for a stream with several ways of decoding."""
        return self._named(self._flush())

    def reset(self) -> None:
        """Forget everything heard, as if newly made."""
        self._batch.reset(self._slot, self.lookahead)
        self._lane.reset()
        self.codes = []
        self._flushed = False

    def _push(self, block: Sound) -> Sound:
        if self._flushed:
            self.reset()
        self._lane.push(block)
        return self._run()

    def _run(self) -> Sound:
        while self._lane.due():
            self._lane.give(self._tick(self._lane.next()))
        return self._lane.take()

    def _tick(self, block: Sound) -> Sound:
        level = Level.LIGHT if self.hurried else Level.FULL
        stems = self._batch.tick({self._slot: to_stereo(block)}, level)[self._slot]
        codes = self._batch.codes(self._slot) if self._settings.tokens else None
        if codes is not None and self._emits_codes():
            self.codes.append(codes)
        if self.channels == 1:
            stems = stems.mean(1, keepdims=True)
        return stems.reshape(-1, stems.shape[-1])

    def _emits_codes(self) -> bool:
        """Not of frames before the beginning."""
        return self._lane.ticks > max(0, self.lookahead)

    def _flush(self) -> Sound:
        """Silence through the stream until the last sample is out."""
        if self._flushed or not self._lane.pushed:
            self._flushed = True
            return np.zeros((self._lane.width, 0), np.float32)
        total = self._lane.pushed
        self._lane.end()
        rest = self._run()
        frames = -(-output_length(total, self.rate, SAMPLE_RATE) // FRAME)
        self.codes = self.codes[: max(0, frames - (self.lookahead < 0))]
        self._flushed = True
        return rest

    def _named(self, sound: Sound) -> dict[str, dict[str, Sound]]:
        shaped = sound.reshape(len(self._settings.decodes), len(STEMS), self.channels, sound.shape[1])
        return {
            name: {stem: np.ascontiguousarray(part[index]) for index, stem in enumerate(STEMS)}
            for name, part in zip(self._settings.decodes, shaped, strict=True)
        }
