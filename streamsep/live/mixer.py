"""What is heard: stems by their gains where they are there in time, the aligned mixture where not. Never a click.

    weight  1 ────────╮                    ╭──────── stems, by their gains
                       ╲  5 ms      5 ms ╱
            0           ╰──────────────╯              aligned mixture (silence for a single stem)

The mixer looks 5 ms ahead of what it plays. So it knows that stems will be missing while it still has 5 ms of them
to fade out. Knows positions and gains; knows nothing of devices, processes or clocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.live.gains import Gains, Smoother
from streamsep.live.ring import Ring

Sound = NDArray[np.float32]
FADE = SAMPLE_RATE // 200  # 5 ms
_WET, _DRY, _GAP = len(STEMS), len(STEMS) + 1, len(STEMS) + 2


@dataclass
class Counts:
    """What went wrong so far."""

    fallbacks: int = 0  # gaps that the mixture filled
    fallback_samples: int = 0
    underruns: int = 0  # times the input itself was missing
    resyncs: int = 0  # jumps of the playhead


@dataclass
class Levels:
    """Peaks of the last block, full scale = 1: mixture, every stem after its gain, output."""

    mixture: float = 0.0
    output: float = 0.0
    stems: tuple[float, ...] = (0.0,) * len(STEMS)


class Mixer:
    """Plays the input ``delay`` samples late. ``pull`` is called by the output side alone.

    ``playhead`` is the position that is heard next; ``delay`` is the distance that it keeps, after a pull, from the
    end of the input.
    """

    def __init__(self, source: Ring, results: Ring, gains: Gains, delay: int) -> None:
        self._source, self._results = source, results
        self._smoother = Smoother(gains)
        self.delay = delay
        self.playhead = 0
        self.counts, self.levels = Counts(), Levels()
        self.starts = 0  # times the playhead was put at its distance
        self._weight = 0.0  # of the stems in the last sample
        self._separated = False  # stems have been heard: only then is their absence a gap
        self._playing = False
        self._stopped_at = -1  # end of the input when it ran dry
        self._first = -FADE  # position before which nothing is heard, and from which on the sound fades in
        self._last = np.zeros((source.channels, 1), np.float32)
        self._soften_next = False
        self._decay = np.exp(-np.arange(8 * FADE) / FADE).astype(np.float32)
        self._decay *= np.linspace(1, 0, 8 * FADE, dtype=np.float32)
        self._residue = np.zeros((source.channels, 0), np.float32)  # rest of a softened step

    def pull(self, count: int) -> Sound:
        """The next ``count`` samples, ``[2, count]``."""
        if not self._playing:
            end = self._source.end
            if end == self._stopped_at or end == 0:
                return self._finish(np.zeros((2, count), np.float32))
            self.playhead = end - count - self.delay
            self._playing, self._soften_next = True, True
            self.starts += 1
        mixture, heard = self._mixture(count)
        stems, weight = self._stems(count)
        factors = self._smoother.next(count)
        out = mixture * (weight * factors[_DRY] + (1 - weight) * factors[_GAP])
        scaled = stems * factors[: len(STEMS), None]
        out += scaled.sum(0) * (weight * factors[_WET])
        if self.playhead < self._first + FADE:
            out *= np.clip((self.playhead - self._first + np.arange(count, dtype=np.float32)) / FADE, 0, 1)
        self._meter(mixture, scaled, weight)
        self.playhead += count
        return self._finish(out, heard)

    def resync(self, delay: int | None = None) -> None:
        """Take the playhead back to its distance (a new one, if given) with the next pull, softly."""
        if delay is not None:
            self.delay = delay
        if self._playing:
            self._playing, self._stopped_at = False, -1  # of an input that is dry, nothing is to be heard again
        self.counts.resyncs += 1

    def begin(self, delay: int) -> None:
        """Devices start from silence: their input goes on where the last one ended, of which no more is heard."""
        self.resync(delay)
        self._first = self._stopped_at = self._source.end
        self._last, self._residue = np.zeros_like(self._last), self._residue[:, :0]

    @property
    def playing(self) -> bool:
        """Whether the playhead moves; it stands still while there is no input."""
        return self._playing

    @property
    def fill(self) -> int:
        """Samples between the playhead and the end of the input."""
        return self._source.end - self.playhead

    def _mixture(self, count: int) -> tuple[Sound, int]:
        """``[2, count]``, and how many of them have been heard; zeros before the beginning and after the end."""
        end = self._source.end
        first, last = max(self.playhead, self._source.begin), min(self.playhead + count, end)
        out = np.zeros((2, count), np.float32)
        block = self._source.read(first, last - first) if last > first else None
        if block is not None:
            out[:, first - self.playhead : last - self.playhead] = block
        return out, max(0, min(count, end - self.playhead))

    def _stems(self, count: int) -> tuple[Sound, Sound]:
        """``[stems, 2, count]`` with zeros where they are missing, and their weight ``[count]``."""
        end = self._results.end  # looked at once: the model process writes at the same time
        first = max(self.playhead, self._results.begin)
        last = min(self.playhead + count, end)
        stems = np.zeros((len(STEMS), 2, count), np.float32)
        block = self._results.read(first, last - first) if last > first else None
        if block is None:
            weight = np.zeros(count, np.float32)
            ahead = 0
        else:
            begin = first - self.playhead
            stems[:, :, begin : begin + block.shape[1]] = block.reshape(len(STEMS), 2, -1)
            ahead = end - self.playhead
            index = np.arange(count)
            # Up from where it is, or from the first stem on; down so that it is 0 where they end.
            up = np.where(index < begin, 0, (self._weight if begin == 0 else 0) + (index - begin + 1) / FADE)
            weight = np.clip(np.minimum(up, (ahead - index - 1) / FADE), 0, 1).astype(np.float32)
        if self._weight > min(1, ahead / FADE) + 1e-3 or (self._weight and first > self.playhead):
            self._soften_next = True  # they were taken away unannounced
        self._separated = self._separated or bool(weight.any())
        if self._separated:
            self._count_gaps(weight)
        self._weight = float(weight[-1]) if count else self._weight
        return stems, weight

    def _count_gaps(self, weight: Sound) -> None:
        before = np.concatenate([[self._weight], weight[:-1]]) if len(weight) else weight
        self.counts.fallbacks += int(np.count_nonzero((before > 0) & (weight == 0)))
        self.counts.fallback_samples += int(np.count_nonzero(weight < 1))

    def _finish(self, out: Sound, heard: int | None = None) -> Sound:
        """Soften the steps at the beginning and where the input ends, after ``heard`` samples."""
        if not out.shape[1]:
            return out
        if self._soften_next:
            self._soften_next = False
            self._add_residue(out, 0, self._last)
        else:
            rest = min(out.shape[1], self._residue.shape[1])
            out[:, :rest] += self._residue[:, :rest]
            self._residue = self._residue[:, rest:]
        if heard is not None and heard < out.shape[1]:  # the input is late: silence, and a fresh start when it is back
            self.counts.underruns += 1
            self._playing, self._stopped_at = False, self._source.end
            before = out[:, heard - 1 : heard].copy() if heard else self._last
            out[:, heard:] = 0
            self._add_residue(out, heard, before)
        self._last = out[:, -1:].copy()
        self.levels.output = float(np.abs(out).max())
        return out

    def _add_residue(self, out: Sound, index: int, before: Sound) -> None:
        """Make the step from ``before`` to ``out[:, index]`` a decay of some 5 ms."""
        tail = (before - out[:, index : index + 1]) * self._decay
        count = min(tail.shape[1], out.shape[1] - index)
        out[:, index : index + count] += tail[:, :count]
        self._residue = tail[:, count:]

    def _meter(self, mixture: Sound, scaled: Sound, weight: Sound) -> None:
        self.levels.mixture = float(np.abs(mixture).max(initial=0))
        self.levels.stems = tuple(float(peak) for peak in np.abs(scaled * weight).max((1, 2), initial=0))
