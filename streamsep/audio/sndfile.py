"""Decoder over libsndfile: wav, aiff, flac, ogg, opus and the other formats that it knows by their first bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import soundfile  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from streamsep.audio.decoder import AudioInfo
from streamsep.errors import AudioError

_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd", b"dns.")
_UNKNOWN_FRAMES = 1 << 62  # libsndfile says SF_COUNT_MAX for a flac stream of unknown length


def knows(path: Path) -> bool:
    """Whether the first bytes are those of a format that libsndfile decodes; mp3 not: mpg123 writes to stderr."""
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


class SndfileDecoder:
    """One open file, read from ``part`` where that is given: a file that holds a part of it. Raises AudioError when
    libsndfile does not know the format, or a FLAC file (written into a pipe, or by a program that was killed) does not
    know its length.
    """

    def __init__(self, path: Path, part: io.RawIOBase | None = None) -> None:
        self.warnings: list[str] = []
        try:
            # As bytes where names are bytes: they need not be UTF-8, which soundfile would make of them.
            name = os.fsencode(path) if os.name == "posix" else str(path)
            self._file = soundfile.SoundFile(name if part is None else part)  # pyright: ignore[reportArgumentType]
        except soundfile.SoundFileError as error:
            raise AudioError(f"'{path}' is not a sound file of libsndfile's.") from error
        frames = int(self._file.frames)
        self.info = AudioInfo(
            path=path,
            rate=int(self._file.samplerate),
            channels=int(self._file.channels),
            samples=frames if 0 <= frames < _UNKNOWN_FRAMES else None,
            codec=f"{self._file.format}/{self._file.subtype}".lower(),
        )
        if self.info.samples is None and self._file.format == "FLAC":
            # soundfile seeks after every read, and at the end of a stream of unknown length libFLAC cannot.
            self._file.close()
            raise AudioError(f"'{path}' does not say how long it is.")

    def read(self, n: int) -> NDArray[np.float32]:
        """Up to ``n`` samples ``[channels, m]`` float32, integers scaled so that full scale is 1."""
        try:
            block = self._file.read(n, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise AudioError(
                f"'{self.info.path}' is damaged or cut off and cannot be decoded; fetch it again."
            ) from error
        return np.ascontiguousarray(block.T, np.float32)

    def close(self) -> None:
        self._file.close()
