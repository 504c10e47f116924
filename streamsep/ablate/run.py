"""The whole of an ablation: train the variants, measure them song by song, report. Knows folders and order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamsep.ablate.measure import SongMeasures, SongMeter
from streamsep.ablate.report import report
from streamsep.ablate.training import train_variants
from streamsep.ablate.variants import BASE
from streamsep.errors import AudioError, OptionError
from streamsep.evaluate.songs import TrueStems, find_songs, load_song
from streamsep.train.run import TrainOptions

Log = Callable[[str], None]
_TOGETHER = 6  # songs measured at a time: their segments are written side by side


@dataclass(frozen=True)
class AblateOptions:
    """``test`` holds held-out songs; ``seconds`` of each and ``limit`` songs are measured, all when None."""

    train: TrainOptions
    test: Path
    seconds: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for a number that makes no sense."""
        if self.seconds is not None and not 1 <= self.seconds < math.inf:
            raise OptionError(f"--seconds {self.seconds:g} is less than a window; give 1 or more.")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"--limit {self.limit} leaves no song; give 1 or more.")


def ablate(options: AblateOptions, log: Log = print) -> dict[str, Any]:
    """Train what is not trained yet, measure, and return the report as plain values.

    A song that cannot be read is named in ``failures``. Raises OptionError when no song was measured.
    """
    folders = find_songs(options.test)[: options.limit]  # says before the training what is wrong with them
    nets = train_variants(options.train, log)
    by_name = {name: nets.net(name) for name in nets}
    meter = SongMeter(nets.net(BASE))
    measured: list[dict[str, SongMeasures]] = []
    failures: list[str] = []
    for start in range(0, len(folders), _TOGETHER):
        songs: list[TrueStems] = []
        for folder in folders[start : start + _TOGETHER]:
            try:
                songs.append(load_song(folder, options.seconds))
            except AudioError as error:
                failures.append(str(error))
        measured += meter(songs, by_name) if songs else []
        log(f"measured {len(measured)} of {len(folders)} songs")
    if not measured:
        raise OptionError(f"no song in '{options.test}' could be measured: {'; '.join(failures)}")
    return {**report(measured), "failures": failures}
