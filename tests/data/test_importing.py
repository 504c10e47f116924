"""Import: MUSDB18-HQ, .stem.mp4, plain folders, and what is wrong with them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from streamsep.data.importing import import_dataset
from streamsep.data.pool import open_pool
from streamsep.errors import OptionError

Sound = NDArray[np.float32]


def tone(hz: float, seconds: float, rate: int = 48_000) -> Sound:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def hertz(x: NDArray[np.int16]) -> float:
    size = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    return float(np.fft.rfftfreq(len(x), 1 / 48_000)[np.argmax(size)])


def write(path: Path, hz: float, seconds: float = 2.0, rate: int = 48_000, channels: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([tone(hz, seconds, rate)] * channels, axis=1), rate)


def test_musdb_layout_keeps_train_and_test_apart(tmp_path: Path) -> None:
    for split, name in (("train", "A - One"), ("test", "B - Two")):
        for index, stem in enumerate(("vocals", "drums", "bass", "other", "mixture")):
            write(tmp_path / "db" / split / name / f"{stem}.wav", 200 * (index + 1), rate=44_100)
    report = import_dataset(tmp_path / "db", tmp_path / "pool")
    assert (report.songs, report.pieces, report.failures) == (2, 2, [])
    (train,), (test,) = open_pool([tmp_path / "pool" / "train"]), open_pool([tmp_path / "pool" / "test"])
    assert train.name == "A - One_000" and test.meta["split"] == "test" and train.meta["source"] == "imported"
    assert train.stems.shape == (4, 2, 96_000)
    assert [hertz(train.stems[i, 0]) for i in range(4)] == pytest.approx([200, 400, 600, 800], abs=1)


def test_a_folder_above_does_not_hide_what_is_train_and_what_is_test(tmp_path: Path) -> None:
    write(tmp_path / "all" / "musdb" / "test" / "B - Two" / "bass.wav", 200)
    assert import_dataset(tmp_path / "all", tmp_path / "pool").songs == 1
    (test,) = open_pool([tmp_path / "pool" / "test"])
    assert test.meta["split"] == "test" and test.name == "musdb - B - Two_000"


def test_plain_folders_of_any_rate_length_and_format(tmp_path: Path) -> None:
    write(tmp_path / "songs" / "x" / "Vocals.flac", 300, seconds=1.5, rate=32_000, channels=1)
    write(tmp_path / "songs" / "x" / "bass.ogg", 80, seconds=3.0)
    write(tmp_path / "songs" / "x" / "drums.mp3", 900, seconds=2.0, rate=44_100)
    (tmp_path / "songs" / "x" / "notes.txt").write_text("no sound")
    report = import_dataset(tmp_path / "songs", tmp_path / "pool")
    (song,) = open_pool([tmp_path / "pool"])
    assert report.songs == 1 and report.seconds == pytest.approx(3.0, abs=0.1)
    assert hertz(song.stems[0, 1, :70_000]) == pytest.approx(300, abs=2) and not np.any(song.stems[0, :, 73_000:])
    assert hertz(song.stems[1, 0, :90_000]) == pytest.approx(900, abs=2) and not np.any(song.stems[3])


def test_a_song_folder_itself_and_long_songs_in_pieces(tmp_path: Path) -> None:
    write(tmp_path / "song" / "other.wav", 100, seconds=95.0, rate=16_000, channels=1)
    report = import_dataset(tmp_path / "song", tmp_path / "pool")
    assert (report.songs, report.pieces) == (1, 3)
    lengths = [song.stems.shape[2] / 48_000 for song in open_pool([tmp_path / "pool"])]
    assert lengths == [40.0, 40.0, 15.0]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "pool").rglob("*.npy")}
    assert import_dataset(tmp_path / "song", tmp_path / "pool").pieces == 3
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "pool").rglob("*.npy")} == before


def write_stem_file(path: Path, streams: int = 5) -> None:
    """Stream ``i`` is a sine of 200 · (i + 1) Hz."""
    with av.open(str(path), "w", format="mp4") as container:
        outputs = [container.add_stream("aac", rate=44_100, layout="stereo") for _ in range(streams)]
        for index, stream in enumerate(outputs):
            wave = np.stack([tone(200 * (index + 1), 2.0, 44_100)] * 2)
            for start in range(0, wave.shape[1], 1_024):
                block = np.ascontiguousarray(wave[:, start : start + 1_024])
                frame = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
                frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def test_stem_mp4(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    write_stem_file(tmp_path / "db" / "Act - Song.stem.mp4")
    report = import_dataset(tmp_path / "db", tmp_path / "pool")
    assert report.failures == []
    (song,) = open_pool([tmp_path / "pool"])
    assert song.name == "Act - Song_000"
    # Streams: mixture, drums, bass, other, vocals.
    assert [hertz(song.stems[i, 0]) for i in range(4)] == pytest.approx([1_000, 400, 600, 800], abs=2)


def test_bad_songs_are_reported_and_the_rest_is_done(tmp_path: Path) -> None:
    root = tmp_path / "songs"
    write(root / "good" / "vocals.wav", 300)
    write(root / "many" / "vocals.wav", 300, channels=4)
    write(root / "twice" / "bass.wav", 300)
    write(root / "twice" / "bass.flac", 300)
    write(root / "short" / "bass.wav", 300, seconds=0.2)
    (root / "broken").mkdir()
    (root / "broken" / "drums.wav").write_bytes(b"RIFF nonsense")
    (root / "silent").mkdir()
    soundfile.write(root / "silent" / "other.wav", np.zeros((96_000, 2)), 48_000)
    write_stem_file(root / "two.stem.mp4", streams=2)
    (root / "no.stem.mp4").write_bytes(b"not an mp4")
    report = import_dataset(root, tmp_path / "pool")
    assert report.songs == 1 and len(report.failures) == 7
    for name in ("many", "twice", "short", "broken", "silent", "two.stem.mp4", "no.stem.mp4"):
        (line,) = [failure for failure in report.failures if f"{name}'" in failure]
        assert "skipped" in line and "\n" not in line
    assert [song.name for song in open_pool([tmp_path / "pool"])] == ["good_000"]


def test_not_a_number_is_silence_and_overloads_are_turned_down(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    wave = np.stack([5 * tone(300, 2.0)] * 2, axis=1)
    wave[1_000:1_010] = np.nan
    soundfile.write(folder / "vocals.wav", wave, 48_000, subtype="FLOAT")
    soundfile.write(folder / "bass.wav", np.full_like(wave, 0.3), 48_000, subtype="FLOAT")
    import_dataset(folder, tmp_path / "pool")
    (song,) = open_pool([tmp_path / "pool"])
    peak = np.abs(song.stems[0].astype(int)).max() / 32_768
    assert 0.99 < peak <= 1.0 and np.count_nonzero(np.abs(song.stems[0].astype(int)) > 32_760) < 4_000


def test_a_stem_that_a_link_promises_in_vain_is_no_silence(tmp_path: Path) -> None:
    write(tmp_path / "songs" / "one" / "drums.wav", 300)
    (tmp_path / "songs" / "one" / "vocals.wav").symlink_to(tmp_path / "gone.wav")
    report = import_dataset(tmp_path / "songs", tmp_path / "pool")
    assert report.songs == 0 and "vocals.wav' does not exist" in report.failures[0]


def test_names_are_cut_to_what_file_systems_take_and_stay_apart(tmp_path: Path) -> None:
    long = "я" * 100
    for last in ("a", "b"):
        write(tmp_path / "songs" / long / f"{long}{last}" / "vocals.wav", 300)
    report = import_dataset(tmp_path / "songs", tmp_path / "pool")
    assert (report.songs, report.failures) == (2, [])
    assert len(open_pool([tmp_path / "pool"])) == 2
    assert import_dataset(tmp_path / "songs", tmp_path / "pool").songs == 2


def test_another_song_of_the_same_name_is_not_taken_for_imported(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        write(tmp_path / folder / "song" / "vocals.wav", 300)
    assert import_dataset(tmp_path / "first", tmp_path / "pool").songs == 1
    report = import_dataset(tmp_path / "second", tmp_path / "pool")
    assert report.songs == 0 and "import into another pool" in report.failures[0]
    assert import_dataset(tmp_path / "first", tmp_path / "pool").failures == []


def test_nothing_to_import(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="holds no song"):
        import_dataset(tmp_path / "empty", tmp_path / "pool")
    with pytest.raises(OptionError, match="not a folder"):
        import_dataset(tmp_path / "none", tmp_path / "pool")


def test_a_folder_called_test_says_so_itself(tmp_path: Path) -> None:
    folder = tmp_path / "musdb" / "Test" / "song"
    folder.mkdir(parents=True)
    soundfile.write(folder / "vocals.wav", tone(300, 2.0), 48_000)
    import_dataset(tmp_path / "musdb" / "Test", tmp_path / "pool")
    assert [song.name for song in open_pool([tmp_path / "pool" / "test"])] == ["song_000"]
    import_dataset(tmp_path / "musdb" / "Test" / "song", tmp_path / "pool" / "train")
    with pytest.raises(OptionError, match="there are some in '.*/pool/test' and '.*/pool/train'"):
        open_pool([tmp_path / "pool"])
