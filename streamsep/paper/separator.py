"""A loaded paper model and what it offers: whole songs, and blocks of a file. Knows rates and channels.

It has the manner of ``streamsep.engine.separator``, but is no streaming separator: what comes out of ``push`` is some
segments late, and how many depends on the model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.blocks import to_stereo
from streamsep.audio.files import MAX_RATE, MIN_RATE
from streamsep.audio.framer import Fifo
from streamsep.audio.resample import ResampleStream
from streamsep.choices import MASK, RENDERS, check_choice
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.engine.device import check_device
from streamsep.engine.threads import use_threads
from streamsep.errors import AudioError, OptionError
from streamsep.paper.checkpoint import load_paper
from streamsep.paper.net import PaperNet
from streamsep.paper.segments import WIDTH, SegmentSeparator, SegmentStream

Sound = NDArray[np.float32]

_OTHER = STEMS.index("other")


class PaperSeparator:
    """A paper model, ready to separate."""

    stems: tuple[str, ...] = STEMS

    def __init__(self, net: PaperNet, render: str = MASK) -> None:
        check_choice("render", render, RENDERS)
        SegmentSeparator(net, render)  # says now what does not go together
        self.net, self.render = net, render

    def stream(self, rate: int, channels: int, lookahead: int = 0, seed: int | None = None) -> PaperStream:
        """Blocks of a song at ``rate``, 8,000 to 192,000 Hz, in 1 or 2 ``channels``; drawn at random with a ``seed``.

        ``lookahead`` means nothing here: a segment is heard to its end. Raises OptionError for other values.
        """
        if int(rate) != rate or not MIN_RATE <= rate <= MAX_RATE:
            raise OptionError(f"a rate of {rate} Hz is outside {MIN_RATE} to {MAX_RATE} Hz.")
        if channels not in (1, 2):
            raise OptionError(f"a stream has 1 or 2 channels, not {channels}; separate more than two in pairs.")
        return PaperStream(SegmentSeparator(self.net, self.render, seed), int(rate), channels)

    def separate(self, audio: Sound, rate: int, seed: int | None = None) -> dict[str, Sound]:
        """A whole song ``[channels, samples]`` float32 → stem → the same shape, aligned.

        Raises AudioError for another shape, OptionError for an unknown rate.
        """
        audio = np.asarray(audio, np.float32)
        if audio.ndim != 2 or audio.shape[0] not in (1, 2):
            raise AudioError(f"audio of shape {list(audio.shape)} is not [channels, samples] with 1 or 2 channels.")
        stream = self.stream(rate, audio.shape[0], seed=seed)
        parts = stream.push(audio), stream.flush()
        return {stem: np.concatenate([part[stem] for part in parts], 1) for stem in STEMS}


class PaperStream:
    """One song; made by ``PaperSeparator.stream``. ``latency``: samples at its rate that a segment is long."""

    def __init__(self, separate: SegmentSeparator, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self.latency = -(-separate.samples * rate // SAMPLE_RATE)
        self._segments = SegmentStream(separate)
        self._into = ResampleStream(rate, SAMPLE_RATE, 2)
        self._back = ResampleStream(SAMPLE_RATE, rate, WIDTH)
        # At other rates the way there and back loses what lies above its pass band: it goes to `other`.
        self._completes = rate != SAMPLE_RATE and separate.render == MASK
        self._original = Fifo(2)
        self._waiting = 0  # samples pushed whose stems are not out

    def push(self, block: Sound) -> dict[str, Sound]:
        """``block`` [channels, n] float32, any n ≥ 0 → stem → [channels, m], aligned. Raises AudioError for another
        shape.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise AudioError(
                f"a block of shape {list(block.shape)} was pushed into a stream of [{self.channels}, n]: "
                "give channels first."
            )
        sound = to_stereo(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0))
        self._original.push(sound)
        self._waiting += block.shape[1]
        return self._give(self._back.push(self._segments.push(self._into.push(sound))))

    def flush(self) -> dict[str, Sound]:
        """End of the song: the rest, so that as many samples have come out as went in."""
        ends = self._segments.push(self._into.flush()), self._segments.flush()
        rest = np.concatenate([*(self._back.push(end) for end in ends), self._back.flush()], 1)
        rest = rest[:, : self._waiting]
        return self._give(np.pad(rest, ((0, 0), (0, self._waiting - rest.shape[1]))))

    def _give(self, sound: Sound) -> dict[str, Sound]:
        count = min(sound.shape[1], self._waiting)
        self._waiting -= count
        stems = sound[:, :count].reshape(len(STEMS), 2, count)
        original = self._original.pop(count)
        if self._completes:
            stems = stems.copy()
            stems[_OTHER] = 0
            stems[_OTHER] = original - stems.sum(0)
        if self.channels == 1:
            stems = stems.mean(1, keepdims=True)
        return {stem: np.ascontiguousarray(stems[index]) for index, stem in enumerate(STEMS)}


def load(
    model: str | Path = "tiny", device: str = "cpu", render: str = MASK, threads: int | None = None
) -> PaperSeparator:
    """Load the paper model of a model folder; ``threads`` are torch's own choice when None.

    Raises StreamsepError when the model has none, and for an unknown device or render.
    """
    check_device(device)
    if threads is not None:
        use_threads(threads)
    return PaperSeparator(load_paper(model, device), render)
