"""The files of one song: all of them appear, or none. Measures how well they sum to the song."""

from __future__ import annotations

import contextlib
import math
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamsep.audio.interrupts import held_interrupts
from streamsep.audio.pcm import quantize
from streamsep.audio.writer import LOSSLESS, AudioWriter, check_format, temporary_path
from streamsep.errors import OutputError
from streamsep.files.options import SeparateOptions

_BYTES = {"16": 2, "24": 3, "f32": 4}
_FLOOR_DB = -200.0  # what an error of nothing is called: JSON has no infinity


class StemFiles:
    """Writers for the outputs of a song, used as a context manager; ``paths`` are the files that it makes.

    Raises OutputError before anything is written when a file is in the way or the disk too small.
    """

    def __init__(
        self, folder: Path, source: Path, rate: int, channels: int, samples: int | None, options: SeparateOptions
    ) -> None:
        self._options = options
        self.paths = {name: folder / f"{name}.{options.format}" for name in options.outputs}
        self._shape = (rate, channels)
        self._peak_error = 0.0
        self._writers: dict[str, AudioWriter] = {}
        self._made: list[Path] = []
        check_format(options.format, options.depth, rate, channels)
        _check_targets(self.paths, source, options.overwrite)
        _check_space(folder, channels, samples, options)

    def write(self, mixture: NDArray[np.float32], stems: dict[str, NDArray[np.float32]]) -> None:
        """Append ``mixture`` [channels, n] and its stems, both aligned."""
        depth = self._options.depth
        first = self._options.two_stems
        if first is not None:
            # The rest is what is missing of the song once the stem is rounded, so that both sum to it exactly.
            stem = quantize(stems[first], depth)
            stems = {first: stem, f"no_{first}": mixture - stem}
        for name, writer in self._writers.items():
            writer.write(stems[name])
        if self._options.complete and mixture.size:
            total = np.sum([quantize(stems[name], depth) for name in stems], axis=0, dtype=np.float64)
            self._peak_error = max(self._peak_error, float(np.max(np.abs(total - mixture))))

    @property
    def sum_error_dbfs(self) -> float | None:
        """Largest difference between the sum of what was written and the song, in dB below full scale.

        None where not all stems are written, or in a lossy format.
        """
        if not self._options.complete or self._options.format not in LOSSLESS:
            return None
        return _FLOOR_DB if self._peak_error == 0 else max(_FLOOR_DB, 20 * math.log10(self._peak_error))

    def warnings(self) -> list[str]:
        clipped = sum(writer.clipped for writer in self._writers.values())
        if not clipped:
            return []
        return [
            f"{clipped} samples of the stems are above full scale and were clipped; --format wav --bits f32 keeps them"
        ]

    def __enter__(self) -> Self:
        rate, channels = self._shape
        options = self._options
        folder = next(iter(self.paths.values())).parent
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            for name, path in self.paths.items():
                self._writers[name] = AudioWriter(
                    path, rate, channels, options.format, options.depth, options.overwrite
                )
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                for writer in self._writers.values():
                    writer.finish()
                with held_interrupts():  # all of them or none
                    for writer in self._writers.values():
                        writer.commit()
        finally:
            self._discard()

    def _discard(self) -> None:
        """Remove temporary files and the folders made for them; does nothing to files already renamed."""
        for writer in self._writers.values():
            writer.abort()
        for path in self.paths.values():  # a signal may have come before a writer was known here
            with contextlib.suppress(OSError):
                temporary_path(path).unlink()
        for folder in self._made:  # innermost first; one that holds something stays
            with contextlib.suppress(OSError):
                folder.rmdir()


def _check_targets(paths: dict[str, Path], source: Path, overwrite: bool) -> None:
    for path in paths.values():
        if path.resolve() == source.resolve():
            raise OutputError(f"'{path}' would overwrite the song itself; choose another folder with -o.")
        if path.exists() and not overwrite:
            raise OutputError(f"'{path}' exists already; choose another folder with -o or allow --overwrite.")


def _check_space(folder: Path, channels: int, samples: int | None, options: SeparateOptions) -> None:
    if samples is None or options.format != "wav" or options.depth is None:
        return
    needed = samples * channels * _BYTES[options.depth] * len(options.outputs)
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("."))
    disk = shutil.disk_usage(existing)
    if disk.total and needed > disk.free:  # a file system that is no disk at all says 0
        raise OutputError(
            f"'{folder}' needs {needed / 1e6:,.0f} MB and its disk has {disk.free / 1e6:,.0f} MB left; "
            "make room, choose another folder with -o, or write flac."
        )
