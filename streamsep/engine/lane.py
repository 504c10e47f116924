"""One stream's way to the net and back: blocks in, ticks' pieces to the net and from it, aligned stems out.

    block ─► queue ─► resample to 48 kHz ─► ticks ─► (net) ─► resample back ─► rest to `other` ─► queue ─► stems
                │                                                                 ▲
                └────────────────── the input itself, delayed ────────────────────┘

Whatever the blocks, the resampler and the net are fed the same pieces (see ``Clock``), so the stems are the same bits.
Knows counts and rates; who computes a tick, alone or among others, is not its business.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.framer import Fifo
from streamsep.audio.resample import ResampleStream
from streamsep.audio.sanitize import ABSURD
from streamsep.choices import MASK
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.engine.clock import Clock
from streamsep.engine.settings import Settings
from streamsep.errors import AudioError

Sound = NDArray[np.float32]
_OTHER = STEMS.index("other")


class Lane:
    """``latency``: samples at ``rate`` after which a sample's stems are there; ``unit``: samples at 48 kHz a tick;
    ``pushed`` and ``given``: samples in and out so far; ``ticks``: how many are done.
    """

    def __init__(self, settings: Settings, rate: int, channels: int, lookahead: int = 0, align: bool = True) -> None:
        self.rate, self.channels = rate, channels
        self._align = align
        self._clock = Clock.make(rate, lookahead, settings.render)
        self.latency, self.unit = self._clock.latency(), self._clock.unit
        self.width = settings.rows * channels
        self._into = ResampleStream(rate, SAMPLE_RATE, channels)
        self._back = ResampleStream(SAMPLE_RATE, rate, self.width)
        # At other rates the way there and back loses what lies above its pass band: it goes to `other`.
        self._completes = rate != SAMPLE_RATE and settings.render == MASK
        self.reset()

    def reset(self) -> None:
        """Forget everything heard, as if newly made."""
        self._into.reset()
        self._back.reset()
        self._pending = Fifo(self.channels)  # inputs that wait for their tick
        self._original = Fifo(self.channels)  # inputs whose stems are not out of the resampler yet
        self._heard = Fifo(self.channels)  # 48 kHz
        self._ready = Fifo(self.width)
        self.ticks = self.pushed = self.given = 0
        self._end: int | None = None
        self._skip = self._clock.lag
        if self._skip < 0:
            self._back_push(np.zeros((self.width, -self._skip), np.float32))
            self._skip = 0
        if not self._align:
            self._ready.push(np.zeros((self.width, self.latency), np.float32))

    @property
    def ended(self) -> bool:
        return self._end is not None

    def push(self, block: Sound) -> None:
        """Append ``block`` [channels, n] float32, any n ≥ 0. What is not finite, or absurdly loud, counts as silence.

        Raises AudioError for another shape.
        """
        block = self._checked(block)
        self._pending.push(block)
        if self._completes:
            self._original.push(block)
        self.pushed += block.shape[1]

    def end(self) -> None:
        """The song ends here: silence follows, so that the ticks now due bring out its last sample."""
        if self.pushed and self._end is None:
            total = self.pushed
            self.push(np.zeros((self.channels, self.latency), np.float32))
            self._end = total

    @property
    def needs(self) -> int:
        """How many inputs, of all that were ever pushed, the next tick needs."""
        return self._clock.heard(self.ticks + 1)

    def due(self) -> bool:
        """Whether enough was heard for another tick."""
        return self.needs <= self.pushed

    def next(self) -> Sound:
        """What the tick that is due hears: [channels, unit] at 48 kHz. Its stems must come back by ``give``."""
        done, due = self._clock.heard(self.ticks), self._clock.heard(self.ticks + 1)
        self._heard.push(self._into.push(self._pending.pop(due - done)))
        self.ticks += 1
        return self._heard.pop(self.unit)

    def give(self, stems: Sound) -> None:
        """The stems of a tick, [width, unit] at 48 kHz."""
        early = min(self._skip, stems.shape[1])
        self._skip -= early
        self._back_push(stems[:, early:])

    def take(self) -> Sound:
        """What may leave, [width, m]: with ``align`` all that is ready, but never ahead of its input nor past the end;
        else as much as came.
        """
        count = self.pushed - self.given
        if self._align:
            until = self.pushed if self._end is None else self._end
            count = min(len(self._ready), until - self.given)
        self.given += count
        return self._ready.pop(count)

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

    def _back_push(self, sound: Sound) -> None:
        sound = self._back.push(sound)
        if self._completes and sound.shape[1]:
            stems = sound.reshape(-1, len(STEMS), self.channels, sound.shape[1])
            stems[:, _OTHER] = 0
            stems[:, _OTHER] = self._original.pop(sound.shape[1]) - stems.sum(1)
        self._ready.push(sound)
