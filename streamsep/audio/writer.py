"""Sound files out: written block by block under a temporary name, renamed when whole. Knows formats, not stems."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from streamsep.audio.interrupts import held_interrupts
from streamsep.audio.pcm import encode
from streamsep.audio.sink import FileSink, reason
from streamsep.choices import check_choice
from streamsep.errors import OptionError, OutputError

FORMATS: tuple[str, ...] = ("wav", "flac", "mp3", "ogg")
LOSSLESS: tuple[str, ...] = ("wav", "flac")
BITS: tuple[str, ...] = ("16", "24", "f32")
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_SUBTYPES = {"16": "PCM_16", "24": "PCM_24", "f32": "FLOAT", None: None}
_CHUNK = 16_384  # samples a call: libsndfile's Vorbis encoder keeps a whole call on its stack
_RF64_AUTO_DOWNGRADE = 0x1210  # SFC_RF64_AUTO_DOWNGRADE of sndfile.h


def check_format(format: str, bits: str | None, rate: int, channels: int) -> None:
    """Raise OptionError when ``format`` cannot hold such sound."""
    check_choice("format", format, FORMATS)
    if format not in LOSSLESS and bits is not None:
        raise OptionError(f"{format} has no bit depth; leave --bits out, or write wav or flac.")
    if bits is not None:
        check_choice("bit depth", bits, BITS)
    if format == "flac" and bits == "f32":
        raise OptionError("flac holds integers only; choose --bits 16 or 24, or write wav.")
    if format == "mp3" and (channels > 2 or rate not in MP3_RATES):
        raise OptionError(f"mp3 cannot hold {channels} channels at {rate} Hz; write wav, flac or ogg.")


class AudioWriter:
    """A sound file that appears, whole, when the context ends well, and leaves nothing when it does not.

    ``bits`` is 16, 24 or f32 for wav, 16 or 24 for flac (24 when None), None for mp3 and ogg. Sound above full scale is
    clipped in integer formats and counted in ``clipped``. wav files beyond 4 GB become RF64 of themselves.
    Raises OptionError for what the format cannot hold, OutputError when the file cannot be written or exists already.
    """

    def __init__(
        self,
        path: str | Path,
        rate: int,
        channels: int,
        format: str = "wav",
        bits: str | None = "24",
        overwrite: bool = False,
    ) -> None:
        check_format(format, bits, rate, channels)
        self.path = Path(path)
        self.channels = channels
        self.samples = 0
        self.clipped = 0
        self._bits = bits if format not in LOSSLESS or bits else "24"
        self._overwrite = overwrite
        self._refuse_existing()
        self._temporary = temporary_path(self.path)
        self._done = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = FileSink(self._temporary)
        except OSError as error:
            raise OutputError(f"'{self.path}' cannot be written: {reason(error)}.") from error
        try:
            with held_interrupts():
                self._file = _open_encoder(self._sink, rate, channels, format, self._bits)
        except BaseException:
            self.abort()
            raise

    def write(self, block: NDArray[np.float32]) -> None:
        """Append ``block`` [channels, n]. Raises OutputError when the disk is full or fails."""
        if self._bits in ("16", "24"):
            self.clipped += int(np.count_nonzero((block >= 1) | (block < -1)))
        for start in range(0, block.shape[1], _CHUNK):
            part = block[:, start : start + _CHUNK]
            try:
                with held_interrupts():
                    self._file.write(encode(part, self._bits))
            except (soundfile.SoundFileError, AssertionError) as error:
                raise self._failure(error) from error
            if self._sink.error is not None:
                raise self._failure(self._sink.error) from self._sink.error
            self.samples += part.shape[1]

    def finish(self) -> None:
        """Complete the temporary file; ``commit`` renames it. Lets several files appear together."""
        try:
            with held_interrupts():
                self._file.close()
        except soundfile.SoundFileError as error:
            raise self._failure(error) from error
        self._sink.close()
        if self._sink.error is not None:
            raise self._failure(self._sink.error) from self._sink.error

    def commit(self) -> None:
        """Give the finished file its name."""
        self._refuse_existing()
        try:
            os.replace(self._temporary, self.path)
        except OSError as error:
            raise self._failure(error) from error
        self._done = True

    def abort(self) -> None:
        """Remove every trace. Does nothing after ``commit``."""
        if self._done:
            return
        with contextlib.suppress(soundfile.SoundFileError, AttributeError), held_interrupts():
            self._file.close()
        self._sink.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()
        self._done = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._done:
                self.finish()
                self.commit()
        finally:
            self.abort()

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise OutputError(f"'{self.path}' is a folder; it cannot become a sound file.")
        if not self._overwrite and self.path.exists():
            raise OutputError(f"'{self.path}' exists already; choose another folder or allow --overwrite.")

    def _failure(self, error: BaseException) -> OutputError:
        cause = self._sink.error or error
        return OutputError(f"'{self.path}' cannot be written: {reason(cause)}; what was begun is removed.")


def temporary_path(path: Path) -> Path:
    """Where this process writes the file ``path`` before it has that name."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _open_encoder(sink: FileSink, rate: int, channels: int, format: str, bits: str | None) -> soundfile.SoundFile:
    container = {"wav": "RF64", "flac": "FLAC", "mp3": "MP3", "ogg": "OGG"}[format]
    subtype = {"mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}.get(format, _SUBTYPES[bits])
    try:
        file = soundfile.SoundFile(sink, "w", rate, channels, subtype, format=container)  # pyright: ignore[reportArgumentType]
    except soundfile.SoundFileError as error:
        if sink.error is not None:
            raise OutputError(f"cannot write: {reason(sink.error)}.") from sink.error
        raise OptionError(f"{format} cannot hold {channels} channels at {rate} Hz; choose another --format.") from error
    if format == "wav":
        # Room for 64-bit sizes is kept in the header and used only by a file that outgrows 32 bits.
        soundfile._snd.sf_command(file._file, _RF64_AUTO_DOWNGRADE, soundfile._ffi.NULL, 1)  # pyright: ignore
    return file
