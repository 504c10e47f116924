"""What a demo leaves on disk, and whose files it does not touch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.config import STEMS
from streamsep.demo.folder import check_folder, write_folder
from streamsep.demo.report import captions, measure
from streamsep.errors import OutputError
from streamsep.evaluate.songs import TrueStems, find_songs, load_song
from tests.sounds import tune

SOUNDS = {stem: tune(0.1, 48_000, seed=index) / 4 for index, stem in enumerate(STEMS)}
MIXTURE = np.sum(list(SOUNDS.values()), axis=0)


def picture(path: Path) -> None:
    path.write_bytes(b"a picture")


def write(out: Path) -> list[Path]:
    return write_folder(out, 48_000, MIXTURE, SOUNDS, SOUNDS, picture, {"seed": 0})


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_everything_is_written_and_can_be_evaluated(tmp_path: Path) -> None:
    out = tmp_path / "new" / "demo"
    check_folder(out)
    files = write(out)
    stems = {f"{stem}.wav" for stem in STEMS}
    wanted = {"mixture.wav", "picture.png", "demo.json", "true", *stems, *(f"true/{name}" for name in stems)}
    assert names(out) == wanted and len(files) == 11
    sound, rate = soundfile.read(out / "vocals.wav", dtype="float32")
    np.testing.assert_allclose(sound.T, SOUNDS["vocals"], atol=2**-23)
    assert rate == 48_000 and soundfile.info(out / "vocals.wav").subtype == "PCM_24"
    assert json.loads((out / "demo.json").read_text()) == {"seed": 0}
    (song,) = find_songs(out / "true")
    np.testing.assert_allclose(load_song(song).mixture, MIXTURE, atol=1e-6)


def test_an_earlier_demo_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    check_folder(out)
    write(out)
    check_folder(out)
    write(out)
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "vocals.wav").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"not of a demo"):
        check_folder(other)
    with pytest.raises(OutputError, match="is a file"):
        check_folder(other / "vocals.wav")


def test_a_folder_that_cannot_be_is_told_before_and_while_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file' is a file"):
        check_folder(tmp_path / "file" / "deep" / "demo")
    with pytest.raises(OutputError, match="cannot be read"):
        check_folder(tmp_path / ("x" * 300))
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "file" / "demo")


def test_a_folder_of_another_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser, who may run this, may all
    for out in (tmp_path, tmp_path / "new" / "demo"):
        with pytest.raises(OutputError, match="cannot be written; choose another folder"):
            check_folder(out)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    out = tmp_path / "deep" / "demo"
    with pytest.raises(OutputError, match="cannot be written"):
        write_folder(out, 48_000, MIXTURE, SOUNDS, SOUNDS, broken, {})
    assert not list(tmp_path.iterdir())


def test_measures_of_perfect_stems() -> None:
    stems = np.stack([tune(2.0, 48_000, seed=index) * 0.25 for index in range(4)])
    stems[0] = 0
    song = TrueStems("song", stems, stems.sum(0))
    report = measure(song, dict(zip(STEMS, stems, strict=True)))
    json.dumps(report, allow_nan=False)
    assert report["si_sdr"]["drums"]["estimated"] == 60
    assert report["si_sdr"]["mean"]["mixture"] < report["si_sdr"]["mean"]["ideal_mask"] < 60
    assert report["sum_error_dbfs"] < -120
    assert "not in this song" in captions(report)["vocals"] and "60.0 dB" in captions(report)["bass"]
