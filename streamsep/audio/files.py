"""Sound files in: what they hold (``probe``) and their samples in blocks (``open_audio``), at constant memory.

libsndfile reads what it can (wav, aiff, flac, ogg, opus …), FFmpeg through PyAV the rest (mp3, m4a, mp4, webm, wma …).
Encoder delay and padding are removed by both. Knows nothing of models, and resamples nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.container import missing_bytes, ogg_links, wav_channels
from streamsep.audio.decoder import AudioInfo, Decoder
from streamsep.errors import AudioError

MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
MAX_CHANNELS = 8
AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "wave", "w64", "rf64", "bwf", "aif", "aiff", "aifc", "caf", "au", "flac", "mp3", "mp2", "ogg", "oga"),
        *("opus", "m4a", "mp4", "m4b", "aac", "alac", "webm", "mka", "mkv", "mov", "wma", "wv", "ape", "ac3"),
    )
)


class AudioReader:
    """A sound file as a stream of blocks. Use as a context manager, or call ``close``.

    ``position`` counts the samples read so far; at the end it is the exact length.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.info = decoder.info
        self.rate = decoder.info.rate
        self.channels = decoder.info.channels
        self.position = 0

    def read(self, n: int) -> NDArray[np.float32]:
        """The next ``n`` samples ``[channels, n]`` float32; fewer only at the end, where it is ``[channels, 0]``.

        Raises AudioError when the file turns out to be damaged, cut off or without a single sample.
        """
        parts: list[NDArray[np.float32]] = []
        wanted = n
        while wanted > 0:
            block = self._decoder.read(wanted)
            if block.shape[1] == 0:
                self._check_end()
                break
            self.position += block.shape[1]
            wanted -= block.shape[1]
            parts.append(block)
        if not parts:
            return np.zeros((self.channels, 0), np.float32)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def blocks(self, size: int = 65_536) -> Iterator[NDArray[np.float32]]:
        """All that is left, ``[channels, size]`` at a time; the last block may be shorter."""
        while (block := self.read(size)).shape[1]:
            yield block

    @property
    def warnings(self) -> list[str]:
        """What was passed over so far, one sentence each."""
        return self._decoder.warnings

    def _check_end(self) -> None:
        if self.position == 0:
            raise AudioError(f"'{self.info.path}' holds no samples; there is nothing to separate.")
        declared = self.info.samples
        # A tenth of a second is more than any codec's padding, and less than anyone would call a cut.
        if declared is not None and declared - self.position > self.rate // 10:
            raise AudioError(
                f"'{self.info.path}' is cut off: its header promises {declared / self.rate:.1f} s and it ends after "
                f"{self.position / self.rate:.1f} s; fetch it again or re-encode what is there."
            )

    def close(self) -> None:
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_audio(path: str | Path) -> AudioReader:
    """Open a sound file of any kind for streaming.

    Raises AudioError, one sentence, when it is missing, unreadable, empty, cut off, not sound, has a rate outside
    8–192 kHz or a channel count outside 1–8.
    """
    path = Path(path)
    _check_file(path)
    decoder = _open_decoder(path)
    try:
        _check_info(decoder.info)
    except AudioError:
        decoder.close()
        raise
    return AudioReader(decoder)


def probe(path: str | Path) -> AudioInfo:
    """What a sound file holds, without reading its samples. Raises as :func:`open_audio` does."""
    with open_audio(path) as reader:
        return reader.info


def read_audio(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """A whole file at once: ``([channels, samples] float32, rate)``. For files known to be short."""
    with open_audio(path) as reader:
        blocks = list(reader.blocks())
        if not blocks:
            raise AudioError(f"'{path}' holds no samples; there is nothing to separate.")
        return np.concatenate(blocks, axis=1), reader.rate


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioError(f"'{path}' is a folder; a sound file is needed here.")
        if not path.is_file():
            raise AudioError(f"'{path}' does not exist; check the name.")
        if path.stat().st_size == 0:
            raise AudioError(f"'{path}' is empty (0 bytes); fetch it again.")
        missing, channels = missing_bytes(path), wav_channels(path)
    except OSError as error:
        raise AudioError(f"'{path}' cannot be read: {error.strerror}.") from error
    if channels == 0:
        raise AudioError(f"'{path}' has 0 channels; streamsep takes 1 to {MAX_CHANNELS}.")
    if missing:
        raise AudioError(f"'{path}' is cut off: at least {missing} bytes are missing at its end; fetch it again.")


def _open_decoder(path: Path) -> Decoder:
    from streamsep.audio.sndfile import SndfileDecoder, knows

    try:
        links = ogg_links(path)
    except OSError as error:
        raise AudioError(f"'{path}' cannot be read: {error.strerror}.") from error
    if links not in ([], [(0, path.stat().st_size)]):
        from streamsep.audio.chain import ChainDecoder

        return ChainDecoder(path, links)
    if knows(path):
        # What libsndfile refuses (a codec it lacks) FFmpeg may know; then FFmpeg's verdict is the final one.
        with contextlib.suppress(AudioError):
            return SndfileDecoder(path)
    from streamsep.audio.ffmpeg import FFmpegDecoder

    return FFmpegDecoder(path)


def _check_info(info: AudioInfo) -> None:
    if not 1 <= info.channels <= MAX_CHANNELS:
        raise AudioError(
            f"'{info.path}' has {info.channels} channels; streamsep takes 1 to {MAX_CHANNELS}: mix it down first."
        )
    if not MIN_RATE <= info.rate <= MAX_RATE:
        raise AudioError(
            f"'{info.path}' has a sample rate of {info.rate} Hz; "
            f"streamsep takes {MIN_RATE} to {MAX_RATE} Hz: resample it first."
        )
    if info.samples == 0:
        raise AudioError(f"'{info.path}' holds no samples; there is nothing to separate.")
