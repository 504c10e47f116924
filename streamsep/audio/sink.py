"""The file below an encoder: keeps the system's own error, and says it in words. Knows nothing of sound."""

from __future__ import annotations

import errno
import io
import re
from pathlib import Path


class FileSink(io.RawIOBase):
    """A file to write to. Keeps the first error, which libsndfile would reduce to 'System error'; never raises."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w+b")
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.error is not None:
            return 0
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # seeking flushes, and flushing may find the disk full
            self.error = self.error or error
            return 0

    def tell(self) -> int:
        try:
            return self._file.tell()
        except OSError as error:
            self.error = self.error or error
            return 0

    def readinto(self, buffer: bytearray) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._file.readinto(buffer)

    def flush(self) -> None:
        """Hand what was written to the system, where it outlives this process."""
        if not self.closed and not self._file.closed:
            try:
                self._file.flush()
            except OSError as error:
                self.error = self.error or error

    def close(self) -> None:
        if not self.closed:
            try:
                self._file.close()
            except OSError as error:
                self.error = self.error or error
        super().close()


def reason(error: BaseException) -> str:
    """What stopped the writing, as the middle of a sentence."""
    if isinstance(error, OSError):
        known = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk quota is used up",
            errno.EFBIG: "the file grows beyond what the disk or a limit allows",
            errno.EROFS: "the disk is read-only",
            errno.EACCES: "permission denied",
            errno.ENOTDIR: "a part of its path is a file, not a folder",
            errno.EEXIST: "a part of its path is a file, not a folder",
        }
        return known.get(error.errno or 0, error.strerror or "the system refused")
    text = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
    return text or "the encoder refused"
