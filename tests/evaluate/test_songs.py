"""Folders of stems: found, read, and refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.config import STEMS
from streamsep.data.pool import write_song
from streamsep.errors import AudioError, OptionError
from streamsep.evaluate.songs import find_songs, load_song
from tests.data.test_importing import write_stem_file
from tests.sounds import tune


def write(folder: Path, name: str, seconds: float = 0.5, rate: int = 48_000, channels: int = 2) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    sound = tune(seconds, rate, channels, seed=len(name))
    soundfile.write(folder / name, sound.T, rate, subtype="FLOAT" if name.endswith("wav") else None)
    return sound


def test_a_song_is_its_stems_and_their_sum(tmp_path: Path) -> None:
    vocals = write(tmp_path, "vocals.wav")
    bass = write(tmp_path, "Bass.wav", seconds=0.25, channels=1)
    write(tmp_path, "mixture.wav")
    (found,) = find_songs(tmp_path)
    song = load_song(found)
    assert found.name == tmp_path.name and list(found.files) == ["vocals", "bass"]
    np.testing.assert_array_equal(song.stems[0], vocals)
    np.testing.assert_array_equal(song.stems[2, :, : bass.shape[1]], np.repeat(bass, 2, 0))
    assert not song.stems[2, :, bass.shape[1] :].any() and not song.stems[[1, 3]].any()
    np.testing.assert_array_equal(song.mixture, song.stems.sum(0))


def test_rates_meet_at_48_khz_and_seconds_cut(tmp_path: Path) -> None:
    write(tmp_path, "drums.flac", seconds=3, rate=44_100)
    write(tmp_path, "other.ogg", seconds=3, rate=48_000)
    (found,) = find_songs(tmp_path)
    assert load_song(found).stems.shape == (len(STEMS), 2, 144_000)
    assert load_song(found, seconds=1).stems.shape == (len(STEMS), 2, 48_000)


def test_every_folder_with_a_stem_is_a_song(tmp_path: Path) -> None:
    for name in ("b", "a", "more/c"):
        write(tmp_path / name, "vocals.wav")
    (tmp_path / "empty").mkdir()
    assert [song.name for song in find_songs(tmp_path)] == ["a", "b", "more/c"]


def test_what_holds_no_song_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="does not exist"):
        find_songs(tmp_path / "nowhere")
    with pytest.raises(OptionError, match="holds no song"):
        find_songs(tmp_path)
    write(tmp_path, "vocals.wav")
    with pytest.raises(OptionError, match="is a file"):
        find_songs(tmp_path / "vocals.wav")
    write(tmp_path, "vocals.flac")
    with pytest.raises(OptionError, match="vocals twice"):
        find_songs(tmp_path)


def test_silent_and_wide_songs_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "vocals.wav", np.zeros((100, 2)), 48_000)
    with pytest.raises(AudioError, match="silent in all its stems"):
        load_song(*find_songs(tmp_path))
    write(tmp_path, "vocals.wav", channels=4)
    with pytest.raises(AudioError, match="4 channels"):
        load_song(*find_songs(tmp_path))


def test_not_a_number_counts_as_silence(tmp_path: Path) -> None:
    sound = np.full((100, 2), 0.5, np.float32)
    sound[10], sound[20], sound[30] = np.nan, np.inf, 1e30
    soundfile.write(tmp_path / "drums.wav", sound, 48_000, subtype="FLOAT")
    stems = load_song(*find_songs(tmp_path)).stems
    assert np.isfinite(stems).all() and not stems[1, :, [10, 20, 30]].any()


def test_a_stem_that_a_link_promises_in_vain_is_no_silence(tmp_path: Path) -> None:
    write(tmp_path, "drums.wav")
    (tmp_path / "vocals.wav").symlink_to(tmp_path / "gone" / "vocals.wav")
    with pytest.raises(AudioError, match="vocals.wav' does not exist"):
        load_song(*find_songs(tmp_path))


def test_songs_of_a_training_pool(tmp_path: Path) -> None:
    stems = (tune(0.5, 48_000, 8).reshape(4, 2, -1) * 0.5).astype(np.float32)
    write_song(tmp_path, "composed", stems, {"source": "composed"})
    (found,) = find_songs(tmp_path)
    assert found.name == "composed"
    np.testing.assert_allclose(load_song(found).stems, stems, atol=1 / 32_768)
    assert load_song(found, seconds=0.25).stems.shape[2] == 12_000
    np.save(tmp_path / "composed" / "stems.npy", np.zeros((3, 2, 10)))
    with pytest.raises(AudioError, match="does not hold int16"):
        load_song(found)


def test_stem_files_and_the_test_split(tmp_path: Path) -> None:
    root = tmp_path / "musdb"
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        write_stem_file(root / split / f"A - {split}.stem.mp4")
    assert [song.name for song in find_songs(root)] == ["test/A - test"]
    assert [song.name for song in find_songs(tmp_path)] == ["musdb/test/A - test"]
    assert [song.name for song in find_songs(root, "train")] == ["train/A - train"]
    with pytest.raises(OptionError, match="below a folder 'valid'"):
        find_songs(root, "valid")
    (song,) = find_songs(root / "test" / "A - test.stem.mp4")
    assert song.name == "A - test"
    loaded = load_song(song, seconds=1)
    assert loaded.stems.shape == (4, 2, 48_000)
    # Streams: mixture, drums, bass, other, vocals, of 200 to 1,000 Hz.
    peaks = np.argmax(np.abs(np.fft.rfft(loaded.stems[:, 0])), axis=-1)
    np.testing.assert_allclose(peaks, [1_000, 400, 600, 800], atol=2)


def test_two_songs_of_one_name_are_two(tmp_path: Path) -> None:
    write(tmp_path / "s", "vocals.wav")
    write_stem_file(tmp_path / "s.stem.mp4")
    songs = find_songs(tmp_path)
    assert [song.name for song in songs] == ["s", "s+"] and songs[0].path != songs[1].path
