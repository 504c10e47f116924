"""Decoder over libsndfile for Ogg streams one after another, as recordings of radio are. Knows where each one lies.

libsndfile by itself ends with the first of them, and FFmpeg decodes the others by the tables of the first.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.decoder import AudioInfo
from streamsep.audio.interrupts import held_interrupts
from streamsep.audio.sndfile import SndfileDecoder
from streamsep.errors import AudioError


class ChainDecoder:
    """All ``links`` of a file, first byte and end of each. Raises AudioError when one cannot be decoded, or they differ
    in rate or channels.
    """

    def __init__(self, path: Path, links: list[tuple[int, int]]) -> None:
        self.warnings: list[str] = []
        self._path, self._links = path, links
        infos: list[AudioInfo] = []
        for number in range(len(links)):
            self._open(number)
            infos.append(self._link.info)
            self.close()
        first = infos[0]
        if any((info.rate, info.channels) != (first.rate, first.channels) for info in infos):
            raise AudioError(f"'{path}' changes its rate or channels on the way; re-encode it first.")
        lengths = [info.samples for info in infos if info.samples is not None]
        self.info = replace(first, samples=sum(lengths) if len(lengths) == len(infos) else None)
        self._open(0)

    def read(self, n: int) -> NDArray[np.float32]:
        """Up to ``n`` samples ``[channels, m]`` float32 of one stream; the next one is opened where it ends."""
        while True:
            with held_interrupts():
                block = self._link.read(n)
            if block.shape[1] or self._number + 1 == len(self._links):
                return block
            self.close()
            self._open(self._number + 1)

    def close(self) -> None:
        self._link.close()
        self._window.close()

    def _open(self, number: int) -> None:
        self._number, self._window = number, _Window(self._path, *self._links[number])
        try:
            with held_interrupts():
                self._link = SndfileDecoder(self._path, self._window)
        except AudioError as error:
            self._window.close()
            raise AudioError(
                f"'{self._path}' holds {len(self._links)} streams one after another, and number {number + 1} cannot be "
                "decoded; re-encode what is there."
            ) from error


class _Window(io.RawIOBase):
    """Bytes ``start … end`` of a file, as if they were one."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        super().__init__()
        self._file, self._start, self._end = path.open("rb"), start, end
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._end}[whence]
        self._file.seek(max(self._start, origin + offset))
        return self.tell()

    def tell(self) -> int:
        return self._file.tell() - self._start

    def readinto(self, buffer: bytearray) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._file.readinto(memoryview(buffer)[: max(0, self._end - self._file.tell())])

    def close(self) -> None:
        self._file.close()
        super().close()
