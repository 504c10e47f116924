"""Decoder over FFmpeg (PyAV): mp3, m4a, mp4, webm, wma and everything else that libsndfile does not read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError, InvalidDataError
from numpy.typing import NDArray

from streamsep.audio.decoder import AudioInfo
from streamsep.audio.framer import Fifo
from streamsep.errors import AudioError

# What integer samples are divided by (FFmpeg left-aligns 24 bits in 32), and the offset of unsigned bytes.
_SCALES = {"u8": 128.0, "s16": 32_768.0, "s32": 2_147_483_648.0, "s64": 2.0**63}
_BAD_PACKETS = 8  # broken packets to pass over, as players do, before the file counts as damaged
_MAX_GAP = 600  # seconds: a longer one is a damaged file's
_PADDING = 4_096  # samples: the most that a codec frame adds past the declared end


class FFmpegDecoder:
    """The first audio stream of one open container. Raises AudioError when there is none or it cannot be decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.warnings: list[str] = []
        try:
            # Absolute: FFmpeg takes what stands before a colon for a protocol ("Re: song.mp3").
            self._container = av.open(str(path.absolute()), metadata_errors="replace")
        except (FFmpegError, OSError, ValueError) as error:
            raise AudioError(
                f"'{path}' is not a sound file that can be read (wav, flac, mp3, ogg, opus, m4a and more can)."
            ) from error
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"'{path}' has no sound in it (no audio stream).")
        stream = self._container.streams.audio[0]
        self._frames = self._decode(stream)
        try:
            first = next(self._frames, None)
        except AudioError:
            self._container.close()
            raise
        if first is None:
            self._container.close()
            raise AudioError(f"'{path}' holds no samples; there is nothing to separate.")
        self._layout = (first.rate, len(first.layout.channels))
        samples = None
        if stream.duration is not None and stream.time_base is not None:
            samples = round(stream.duration * stream.time_base * first.rate)
        # mp4 says where the padding of its last frame begins, but FFmpeg hands it out; others declare estimates.
        self._end = samples if "mp4" in self._container.format.name else None
        # Rate and channels of the decoded frame: the header of an HE-AAC stream tells half of the truth.
        rate, channels = self._layout
        self.info = AudioInfo(path, rate, channels, self._end, stream.codec_context.name, estimate=samples)
        self._fifo = Fifo(self.info.channels)
        self._given = 0
        self._blocks = self._timed(itertools.chain([first], self._frames))

    def read(self, n: int) -> NDArray[np.float32]:
        """Up to ``n`` samples ``[channels, m]`` float32, integers scaled so that full scale is 1."""
        while len(self._fifo) < n and (sound := next(self._blocks, None)) is not None:
            self._fifo.push(sound)
        block = self._fifo.pop(min(n, len(self._fifo)))
        if self._end is not None and 0 < self._given + block.shape[1] - self._end <= _PADDING:
            block = block[:, : max(0, self._end - self._given)]
        self._given += block.shape[1]
        return block

    def close(self) -> None:
        self._container.close()

    def _timed(self, frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.float32]]:
        """The sound of ``frames``, with silence where the times of an mp4 leave a gap: its length counts that, too."""
        rate, channels = self._layout
        began, done = None, 0
        for frame in frames:
            if (frame.rate, len(frame.layout.channels)) != self._layout:
                raise AudioError(f"'{self._path}' changes its rate or channels on the way; re-encode it first.")
            if self._end is not None and frame.time is not None:
                time = round(frame.time * rate)
                began = time if began is None else began
                gap = time - began - done
                if frame.samples < gap <= _MAX_GAP * rate:
                    done += gap
                    yield np.zeros((channels, gap), np.float32)
            done += frame.samples
            yield _to_float(frame)

    def _decode(self, stream: AudioStream) -> Iterator[AudioFrame]:
        bad = 0
        try:
            for packet in self._container.demux(stream):
                try:
                    yield from packet.decode()
                except InvalidDataError:
                    bad += 1
                    if bad > _BAD_PACKETS:
                        raise
        except (FFmpegError, OSError, ValueError) as error:
            raise AudioError(f"'{self._path}' is damaged or cut off and cannot be decoded; fetch it again.") from error
        if bad:
            self.warnings.append(f"{bad} damaged packets were passed over")


def _to_float(frame: AudioFrame) -> NDArray[np.float32]:
    """``[channels, samples]`` float32 of one frame in any of FFmpeg's sample formats."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    name = frame.format.name.removesuffix("p")
    if name not in _SCALES:
        return np.ascontiguousarray(samples, np.float32)
    offset = 128.0 if name == "u8" else 0.0
    return np.ascontiguousarray((samples.astype(np.float64) - offset) / _SCALES[name], np.float32)
