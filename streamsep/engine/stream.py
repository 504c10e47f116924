"""One stream: blocks of any size at any rate in, stems aligned to the sample out. The lane counts, the runner computes.

Whatever the blocks, the stems are the same bits.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.audio.resample import output_length
from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.engine.lane import Lane, Sound
from streamsep.engine.runner import Settings, make_runner
from streamsep.model.net import Net

Codes = NDArray[np.int64]


class Stream:
    """Separates one stream; made by ``Separator.stream``.

    Attributes:
        latency: samples at the stream's rate after which a sample's stems are there, whatever the blocks.
        codes: with ``keep_codes``, the tokens [S, Q] of every frame from the first one that was emitted: frame 0, at
            lookahead -1 frame 1. After ``flush`` none lies wholly past the end. Emptied by ``reset``.

    Samples that are not finite, or absurdly loud, count as silence.
    """

    def __init__(
        self,
        net: Net,
        settings: Settings,
        rate: int,
        channels: int,
        align: bool = True,
        keep_codes: bool = False,
    ) -> None:
        self.rate, self.channels, self.lookahead = rate, channels, settings.lookahead
        self._device = next(net.parameters()).device
        self._settings, self._keep_codes = settings, keep_codes
        with torch.inference_mode():
            self._runner = make_runner(net, settings, self._device)
        self._lane = Lane(settings, rate, channels, align)
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
        with torch.inference_mode():
            self._runner.reset()
        self._lane.reset()
        self.codes = []
        self._flushed = False

    @property
    def hurried(self) -> bool:
        """Set while frames are late: the guide head alone separates, several times as fast (mask render)."""
        return self._runner.hurried

    @hurried.setter
    def hurried(self, on: bool) -> None:
        if len(self._settings.decodes) > 1:
            raise ValueError("a stream with several ways of decoding does not hurry")
        self._runner.hurried = on

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
        with torch.inference_mode():
            mixture = torch.from_numpy(to_stereo(block)).to(self._device)
            stems = self._runner.tick(mixture)
            if self.channels == 1:
                stems = stems.mean(-2, keepdim=True)
            sound = stems.flatten(0, -2).cpu().numpy()
        if self._keep_codes and self._runner.codes is not None and self._emits_codes():
            self.codes.append(self._runner.codes.cpu().numpy().copy())
        return sound

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
