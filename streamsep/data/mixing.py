"""Endless mixtures from a pool: batch ``step`` is a function of seed and step alone, so a resumed run sees the same.

Half of the mixtures are songs as they are (a passage of one song), the rest are made of stems of different songs; every
stem then gets its own level, side, colour and speed, and may be missing. The end of a training, while the learning rate
falls, hears mostly songs as they are: that is what the model will be used on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamsep.config import FRAME, SAMPLE_RATE, STEMS
from streamsep.data.augment import random_placement, random_tilt, read_int16, roughen, tilt_and_place
from streamsep.data.pool import PoolSong, open_pool
from streamsep.errors import OptionError

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class MixingConfig:
    """Chances (0 to 1) and ranges of the random mixing. ``augment`` off gives passages of songs as they are."""

    coherent: float = 0.45  # all stems from one song and place
    real_weight: float = 0.3  # chance that a stem or song is a recorded one, where the pool has such
    active_tries: int = 3  # places tried until a stem sounds there
    dropout: tuple[float, float, float, float] = (0.12, 0.06, 0.08, 0.08)  # in the order of STEMS
    gain_db: float = 3.0  # spread of a stem's level
    far: float = 0.07  # chance that a stem is about 15 dB down instead
    mono: float = 0.08
    move: float = 0.4  # chance of another width, and of another balance
    tilt: float = 0.6
    speed: float = 0.6
    speed_range: float = 0.2
    rough: float = 0.0  # chance that a stem is given another sound by a comb or an overdriven amplifier
    layer: float = 0.0  # chance that a stem of its own song is joined by one of another song
    loudness_db: tuple[float, float] = (-18.0, 6.0)
    ceiling: float = 1.5  # a mixture's greatest peak
    augment: bool = True

    @property
    def settled(self) -> MixingConfig:
        """Closer to real music: stems mostly of one song, changed half as often."""
        halved = {name: getattr(self, name) / 2 for name in ("far", "tilt", "speed", "rough", "layer")}
        return replace(self, coherent=0.8, **halved)


@dataclass(frozen=True)
class Take:
    """Where a stem is read: ``step`` samples of the pool for each one given."""

    song: int
    start: int
    step: float


class MixingDataset:
    """Batches of stems whose sum is the mixture; from step ``settle`` on, by the ``settled`` configuration.

    ``batch(step)`` is float32 ``[batch, 4, 2, frames * 1920]`` in the order of ``STEMS``.
    Raises OptionError for an empty pool, or when no song of it is long enough.
    """

    def __init__(
        self,
        pool_dirs: Sequence[str | Path],
        frames: int,
        batch: int,
        seed: int,
        config: MixingConfig | None = None,
        settle: int | None = None,
    ) -> None:
        self.config = config or MixingConfig()
        self.settle = settle
        self.frames, self.batch_size, self.seed = frames, batch, seed
        self.samples = frames * FRAME
        # The longest read: the fastest speed, and room for interpolation.
        self._reach = int(self.samples * (1 + self.config.speed_range)) + 8
        found = open_pool([Path(folder) for folder in pool_dirs])
        self.songs: list[PoolSong] = [song for song in found if song.stems.shape[2] >= self._reach]
        if not self.songs:
            seconds = self._reach / SAMPLE_RATE
            raise OptionError(
                f"no song of the pool lasts {seconds:.1f} s; compose longer songs or train on fewer frames."
            )
        self._odds = [_odds(self.songs, stem, self.config.real_weight) for stem in STEMS]
        self._song_odds = _odds(self.songs, None, self.config.real_weight)

    def batch(self, step: int) -> Sound:
        """Mixtures number ``step``; ``[batch, 4, 2, samples]``."""
        config = self.config if self.settle is None or step < self.settle else self.config.settled
        out = np.empty((self.batch_size, len(STEMS), 2, self.samples), np.float32)
        for index in range(self.batch_size):
            self._mix(np.random.default_rng((self.seed, step, index)), out[index], config)
        return out

    def _mix(self, rng: Generator, out: Sound, config: MixingConfig) -> None:
        coherent = not config.augment or rng.random() < config.coherent
        takes = self._one_song(rng, config) if coherent else self._many_songs(rng, config)
        for index, take in enumerate(takes):
            if config.augment and rng.random() < config.dropout[index]:
                out[index] = 0
                continue
            self._read(rng, index, take, out[index], config)
            if config.augment and config.layer and rng.random() < config.layer:
                joined = np.empty_like(out[index])
                self._read(rng, index, self._take(rng, index, _speed(rng, config), config), joined, config)
                out[index] += joined
        if not config.augment:
            return
        gain = 10 ** (float(rng.uniform(*config.loudness_db)) / 20)
        peak = float(np.max(np.abs(out.sum(0)))) * gain
        out *= np.float32(gain * min(1.0, config.ceiling / max(peak, 1e-9)))

    def _one_song(self, rng: Generator, config: MixingConfig) -> list[Take]:
        song = int(np.searchsorted(self._song_odds, rng.random(), side="right"))
        take = Take(song, self._start(rng, song), _speed(rng, config))
        return [take] * len(STEMS)

    def _many_songs(self, rng: Generator, config: MixingConfig) -> list[Take]:
        # One speed for all or one for each: both happen to listeners.
        common = _speed(rng, config) if rng.random() < 0.3 else None
        return [self._take(rng, index, common, config) for index in range(len(STEMS))]

    def _take(self, rng: Generator, stem: int, speed: float | None, config: MixingConfig) -> Take:
        """A place of some song where the stem sounds."""
        song = int(np.searchsorted(self._odds[stem], rng.random(), side="right"))
        start = self._start(rng, song)
        for _ in range(config.active_tries):
            if self._sounds(song, stem, start):
                break
            start = self._start(rng, song)
        return Take(song, start, _speed(rng, config) if speed is None else speed)

    def _read(self, rng: Generator, stem: int, take: Take, out: Sound, config: MixingConfig) -> None:
        read_int16(self.songs[take.song].stems[stem], take.start, take.step, out)
        if config.augment:
            _treat(rng, out, config)

    def _sounds(self, song: int, stem: int, start: int) -> bool:
        glance = self.songs[song].stems[stem, 0, start : start + self.samples : 199]
        return int(np.count_nonzero(np.abs(glance.astype(np.int32)) > 100)) > len(glance) // 20

    def _start(self, rng: Generator, song: int) -> int:
        return int(rng.integers(0, self.songs[song].stems.shape[2] - self._reach + 1))


def _speed(rng: Generator, config: MixingConfig) -> float:
    if not config.augment or rng.random() >= config.speed:
        return 1.0
    return float(1 + rng.uniform(-1, 1) * config.speed_range)


def _treat(rng: Generator, x: Sound, config: MixingConfig) -> None:
    # What is off draws nothing: recipes from before it keep their batches.
    if config.rough and rng.random() < config.rough:
        roughen(rng, x, SAMPLE_RATE)
    far = rng.random() < config.far
    decibels = float(rng.uniform(-20, -10) if far else np.clip(rng.normal(0, config.gain_db), -9, 7))
    gain = np.float32(10 ** (decibels / 20))
    pole, low, high = random_tilt(rng, SAMPLE_RATE) if rng.random() < config.tilt else (1.0, 1.0, 1.0)
    tilt_and_place(x, pole, low, high, gain * random_placement(rng, config.mono, config.move))


def _odds(songs: Sequence[PoolSong], stem: str | None, real_weight: float) -> NDArray[np.float64]:
    """Cumulated chances of the songs: by length in which the stem sounds, recorded ones raised to ``real_weight``."""
    weights = np.array([song.stems.shape[2] * _share(song, stem) for song in songs], np.float64)
    recorded = np.array([song.meta.get("source") in ("real", "imported") for song in songs])
    if weights[recorded].sum() > 0 and weights[~recorded].sum() > 0:
        weights[recorded] *= real_weight / weights[recorded].sum()
        weights[~recorded] *= (1 - real_weight) / weights[~recorded].sum()
    if weights.sum() <= 0:  # nobody plays the stem: any song's silence will do
        weights = np.ones(len(songs))
    cumulated = np.cumsum(weights / weights.sum())
    cumulated[-1] = 1.0
    return cumulated


def _share(song: PoolSong, stem: str | None) -> float:
    if stem is None:
        return 1.0
    active = song.meta.get("active")
    return float(active.get(stem, 1.0)) if isinstance(active, dict) else 1.0
