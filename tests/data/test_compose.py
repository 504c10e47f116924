"""Composed songs: the same again from the same seed, sane levels, and everything that a song may lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.data.bank import Bank
from streamsep.data.compose import Song, compose_song
from streamsep.errors import OptionError


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [compose_song(seed, 8.0) for seed in range(14)]


def test_songs_are_sound(songs: list[Song]) -> None:
    for song in songs:
        assert song.stems.shape == (4, 2, 8 * SAMPLE_RATE) and song.stems.dtype == np.float32
        assert np.all(np.isfinite(song.stems))
        assert float(np.max(np.abs(song.mixture))) <= 0.95
        assert float(np.sqrt(np.mean(song.mixture**2))) > 0.005


def test_stems_that_sound_are_balanced(songs: list[Song]) -> None:
    for song in songs:
        rms = []
        for stem in song.stems:
            power = np.mean(stem[:, : len(stem[0]) // 4_800 * 4_800] ** 2, axis=0).reshape(-1, 4_800).mean(1)
            if power.max() > 1e-9:
                rms.append(10 * np.log10(power[power > 0.003 * power.max()].mean()))
        assert max(rms) - min(rms) < 20


def test_some_songs_lack_a_stem_and_their_description_says_so(songs: list[Song]) -> None:
    silent = 0
    for song in songs:
        for index, stem in enumerate(STEMS):
            quiet = not np.any(song.stems[index])
            silent += quiet
            assert quiet == (song.meta["active"][stem] == 0.0)
    assert 0 < silent < 2 * len(songs)


def test_kicks_and_basses_are_low_and_every_stem_is_itself(songs: list[Song]) -> None:
    def centroid(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound.mean(0))) ** 2
        return float((power * np.fft.rfftfreq(sound.shape[1], 1 / SAMPLE_RATE)).sum() / power.sum())

    means = [np.median([centroid(s.stems[i]) for s in songs if np.any(s.stems[i])]) for i in range(4)]
    assert means[2] < 400 and means[2] < min(means[0], means[3])


def test_seed_decides() -> None:
    first, again, other = (compose_song(seed, 4.0) for seed in (3, 3, 4))
    assert np.array_equal(first.stems, again.stems) and first.meta == again.meta
    assert not np.array_equal(first.stems, other.stems)
    assert not np.array_equal(first.stems, compose_song(3, 4.0, None, "test").stems)


def test_bank_is_used_and_still_deterministic(bank_index: Path) -> None:
    made: list[str] = []
    for seed in range(6):
        bank = Bank.open(bank_index).split("train")
        song = compose_song(seed, 6.0, bank)
        assert np.all(np.isfinite(song.stems)) and song.meta["bank"]
        made.append(str(song.meta["made_of"]))
        if seed == 0:
            assert np.array_equal(song.stems, compose_song(0, 6.0, Bank.open(bank_index).split("train")).stems)
    assert any("piano" in names for names in made) and any("finger" in names for names in made)
    assert any("phrases" in names or "notes" in names or "slices" in names for names in made)


def test_a_bank_of_one_sound_is_filled_up_by_synthesizers(bank_index: Path) -> None:
    bank = Bank.open(bank_index)
    small = Bank([clip for clip in bank.clips if clip.stem == "bass"][:1], {})
    assert np.any(compose_song(1, 4.0, small).stems)


@pytest.mark.parametrize(
    "seed, seconds, split, says",
    [
        (-1, 4.0, "train", "negative"),
        (1, 0.01, "train", "outside"),
        (1, 1e6, "train", "outside"),
        (1, 4.0, "x", "split"),
    ],
)
def test_bad_options(seed: int, seconds: float, split: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        compose_song(seed, seconds, None, split)


def test_shortest_song() -> None:
    assert compose_song(2, 1.0).stems.shape == (4, 2, SAMPLE_RATE)
