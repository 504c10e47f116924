"""One song from file to stems."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamsep.audio.files import open_audio
from streamsep.audio.sanitize import Sanitizer
from streamsep.files.options import SeparateOptions
from streamsep.files.plan import Song
from streamsep.files.splitter import Separates, Splitter
from streamsep.files.stems import StemFiles

BLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class SongReport:
    """What came of one song. ``seconds`` is its length, ``elapsed`` what separating it took."""

    song: Song
    stems: dict[str, str]  # name → path
    rate: int
    channels: int
    samples: int
    latency: int  # samples
    elapsed: float
    sum_error_dbfs: float | None
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def to_dict(self) -> dict[str, Any]:
        """The song as it stands in ``--json``."""
        return {
            "source": str(self.song.source),
            "stems": self.stems,
            "rate": self.rate,
            "channels": self.channels,
            "samples": self.samples,
            "seconds": round(self.seconds, 3),
            "latency_samples": self.latency,
            "latency_ms": round(1000 * self.latency / self.rate, 3),
            "elapsed": round(self.elapsed, 3),
            "real_time_factor": round(self.elapsed / self.seconds, 4),
            "sum_error_dbfs": None if self.sum_error_dbfs is None else round(self.sum_error_dbfs, 2),
            "warnings": list(self.warnings),
        }


def check_song(song: Song, options: SeparateOptions) -> int | None:
    """Refuse early what cannot work, before any model is loaded. Returns about how many samples there are."""
    with open_audio(song.source) as reader:
        StemFiles(song.folder, song.source, reader.rate, reader.channels, reader.info.samples, options)
        return reader.info.samples or reader.info.estimate


def separate_song(
    separator: Separates,
    song: Song,
    options: SeparateOptions,
    heard: Callable[[int, int], None] = lambda samples, rate: None,
) -> SongReport:
    """Stream one song through ``separator`` and write its stems; ``heard(samples, rate)`` is called after every block.

    Raises StreamsepError, and leaves no file behind, when the song or the disk fails on the way.
    """
    started = time.perf_counter()
    with open_audio(song.source) as reader:
        rate, channels = reader.rate, reader.channels
        files = StemFiles(song.folder, song.source, rate, channels, reader.info.samples, options)
        sanitizer = Sanitizer(channels)
        splitter = Splitter(separator, rate, channels, options.lookahead, options.seed)
        with files:
            for block in reader.blocks(round(BLOCK_SECONDS * rate)):
                files.write(*splitter.push(sanitizer(block)))
                heard(block.shape[1], rate)
            files.write(*splitter.flush())
        return SongReport(
            song=song,
            stems={name: str(path) for name, path in files.paths.items()},
            rate=rate,
            channels=channels,
            samples=reader.position,
            latency=splitter.latency,
            elapsed=time.perf_counter() - started,
            sum_error_dbfs=files.sum_error_dbfs,
            warnings=(*reader.warnings, *sanitizer.warnings(), *files.warnings()),
        )
