"""One stream: blocks of any size at any rate in, stems aligned to the sample out. Knows counts; the runner knows sound.

    block ─► queue ─► resample to 48 kHz ─► ticks ─► runner ─► resample back ─► rest to `other` ─► queue ─► stems
                │                                                                   ▲
                └────────────────── the input itself, delayed ──────────────────────┘

Whatever the blocks, the resampler and the net are fed the same pieces (see ``Clock``), so the stems are the same bits.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.audio.framer import Fifo
from streamsep.audio.resample import ResampleStream, output_length
from streamsep.audio.sanitize import ABSURD
from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.engine.clock import Clock
from streamsep.engine.runner import MASK, Settings, make_runner
from streamsep.errors import AudioError
from streamsep.model.net import Net

Sound = NDArray[np.float32]
Codes = NDArray[np.int64]
_OTHER = STEMS.index("other")


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
        self._settings, self._align, self._keep_codes = settings, align, keep_codes
        with torch.inference_mode():
            self._runner = make_runner(net, settings, self._device)
        self._clock = Clock.make(rate, settings.lookahead, settings.lookahead < 0 and settings.render == MASK)
        self.latency = self._clock.latency()
        self._width = len(settings.decodes) * len(STEMS) * channels
        self._into = ResampleStream(rate, SAMPLE_RATE, channels)
        self._back = ResampleStream(SAMPLE_RATE, rate, self._width)
        # At other rates the way there and back loses what lies above its pass band: it goes to `other`.
        self._completes = rate != SAMPLE_RATE and settings.render == MASK
        self.codes: list[Codes] = []
        self._clear()

    def push(self, block: Sound) -> dict[str, Sound]:
        """Feed ``block`` [channels, n] float32, any n ≥ 0; get stem → [channels, m] float32.

        With ``align`` (the default) whatever is ready, the first sample out belonging to the first one in; without it
        m = n, ``latency`` samples late. After a flush a new song begins. Raises AudioError for another shape.
        """
        return self._named(self._push(self._checked(block)))[self._settings.decodes[0]]

    def flush(self) -> dict[str, Sound]:
        """End of the song: stem → the rest, so that as many samples have come out as went in (``latency`` more without
        ``align``).
        """
        return self._named(self._flush())[self._settings.decodes[0]]

    def push_all(self, block: Sound) -> dict[str, dict[str, Sound]]:
        """``push`` for a stream with several ways of decoding: decoding → stem → [channels, m]."""
        return self._named(self._push(self._checked(block)))

    def flush_all(self) -> dict[str, dict[str, Sound]]:
        """``flush`` for a stream with several ways of decoding."""
        return self._named(self._flush())

    def reset(self) -> None:
        """Forget everything heard, as if newly made."""
        with torch.inference_mode():
            self._runner.reset()
        self._clear()

    def _clear(self) -> None:
        self._into.reset()
        self._back.reset()
        self._pending = Fifo(self.channels)  # inputs that wait for their tick
        self._original = Fifo(self.channels)  # inputs whose stems are not out of the resampler yet
        self._heard = Fifo(self.channels)  # 48 kHz
        self._ready = Fifo(self._width)
        self._ticks = self._pushed = self._given = 0
        self._skip = self._clock.lag
        self._flushed = False
        self.codes = []
        if self._skip < 0:
            self._back_push(np.zeros((self._width, -self._skip), np.float32))
            self._skip = 0
        if not self._align:
            self._ready.push(np.zeros((self._width, self.latency), np.float32))

    def _checked(self, block: Sound) -> Sound:
        block = np.asarray(block, np.float32)
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise AudioError(
                f"a block of shape {list(block.shape)} was pushed into a stream of [{self.channels}, n]: "
                "give channels first."
            )
        with np.errstate(invalid="ignore"):
            good = np.abs(block) < ABSURD
        return block.copy() if good.all() else np.where(good, block, np.float32(0))

    def _push(self, block: Sound) -> Sound:
        if self._flushed:
            self.reset()
        self._pending.push(block)
        if self._completes:
            self._original.push(block)
        self._pushed += block.shape[1]
        while (due := self._clock.heard(self._ticks + 1)) <= self._pushed:
            self._heard.push(self._into.push(self._pending.pop(due - self._clock.heard(self._ticks))))
            self._tick(self._heard.pop(self._clock.unit))
            self._ticks += 1
        return self._take()

    def _tick(self, block: Sound) -> None:
        with torch.inference_mode():
            mixture = torch.from_numpy(to_stereo(block)).to(self._device)
            stems = self._runner.tick(mixture)
            if self.channels == 1:
                stems = stems.mean(-2, keepdim=True)
            sound = stems.flatten(0, -2).cpu().numpy()
        if self._keep_codes and self._runner.codes is not None and self._emits_codes():
            self.codes.append(self._runner.codes.cpu().numpy().copy())
        early = min(self._skip, sound.shape[1])
        self._skip -= early
        self._back_push(sound[:, early:])

    def _emits_codes(self) -> bool:
        """Not of frames before the beginning."""
        return self._ticks >= max(0, self.lookahead)

    def _back_push(self, sound: Sound) -> None:
        sound = self._back.push(sound)
        if self._completes and sound.shape[1]:
            stems = sound.reshape(-1, len(STEMS), self.channels, sound.shape[1])
            stems[:, _OTHER] = 0
            stems[:, _OTHER] = self._original.pop(sound.shape[1]) - stems.sum(1)
        self._ready.push(sound)

    def _take(self) -> Sound:
        """What may leave: with ``align`` all that is ready, but never ahead of its input; else as much as came."""
        ready = len(self._ready)
        count = min(ready, self._pushed - self._given) if self._align else self._pushed - self._given
        self._given += count
        return self._ready.pop(count)

    def _flush(self) -> Sound:
        """Silence through the stream until the last sample is out."""
        if self._flushed:
            return np.zeros((self._width, 0), np.float32)
        total = self._pushed
        rest = self._push(np.zeros((self.channels, self.latency), np.float32)) if total else self._ready.pop(0)
        if self._align:
            rest = rest[:, : rest.shape[1] - (self._given - total)]
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
