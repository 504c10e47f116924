"""Which files become songs, and where their stems go."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from streamsep.files.plan import Song, plan


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_files_are_taken_as_named_whatever_their_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "a.xyz")
    songs, failures = plan([tmp_path / "a.xyz"], tmp_path / "out")
    assert songs == [Song(tmp_path / "a.xyz", tmp_path / "out" / "a")]
    assert failures == []


def test_songs_of_one_name_do_not_share_a_folder(tmp_path: Path) -> None:
    sources = [tmp_path / "x" / "a.wav", tmp_path / "y" / "a.wav", tmp_path / "z" / "a.wav", tmp_path / "x" / "a.mp3"]
    touch(*sources)
    songs, _ = plan(sources, tmp_path / "out")
    assert [song.folder.name for song in songs] == ["a", "a.wav", "a (2)", "a.mp3"]


def test_a_name_of_dots_does_not_leave_the_folder(tmp_path: Path) -> None:
    touch(tmp_path / "...wav")
    songs, _ = plan([tmp_path / "...wav"], tmp_path / "out")
    assert songs[0].folder == tmp_path / "out" / "song"


def test_a_song_named_twice_is_separated_once(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "in" / "a.wav")
    songs, _ = plan([tmp_path / "in", tmp_path / "in" / "a.wav", tmp_path / "link.wav"], tmp_path / "out")
    assert len(songs) == 1


def test_stems_beside_their_songs_are_no_songs(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp3", tmp_path / "disc 1" / "b.wav", tmp_path / "disc 1" / "c.ogg")
    first, _ = plan([tmp_path], tmp_path)
    for song in first:
        touch(*(song.folder / f"{stem}.wav" for stem in ("vocals", "drums", "bass", "other")))
    touch(first[0].folder / "no_vocals.flac", first[0].folder / ".bass.wav.1.part")
    again, failures = plan([tmp_path], tmp_path)
    assert again == first and failures == []


def test_an_album_called_like_a_song_is_an_album(tmp_path: Path) -> None:
    touch(tmp_path / "best.mp3", tmp_path / "best" / "vocals.wav", tmp_path / "best" / "hit.wav", tmp_path / "bass.wav")
    songs, _ = plan([tmp_path], tmp_path)
    assert [song.source.name for song in songs] == ["bass.wav", "best.mp3", "hit.wav", "vocals.wav"]


def test_what_is_missing_is_a_failure_and_no_end(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "bare" / "notes.txt")
    songs, failures = plan([tmp_path / "no.wav", tmp_path / "bare", tmp_path / "a.wav"], tmp_path / "out")
    assert [song.source.name for song in songs] == ["a.wav"]
    assert [failure.source.name for failure in failures] == ["no.wav", "bare"]


def test_what_the_system_refuses_is_a_failure_and_no_end(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    songs, failures = plan([tmp_path / ("x" * 300), tmp_path / "a.wav"], tmp_path / "out")
    assert [song.source.name for song in songs] == ["a.wav"]
    assert len(failures) == 1 and "cannot be read: File name too long." in failures[0].error


def test_folders_that_cannot_be_read_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "album" / "a.wav", tmp_path / "album" / "private" / "b.wav", tmp_path / "closed" / "c.wav")
    scandir = os.scandir

    def refusing(path: Any) -> Any:  # the superuser, who may run this, is refused nothing
        if Path(path).name in ("private", "closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    songs, failures = plan([tmp_path / "album", tmp_path / "closed"], tmp_path / "out")
    assert [song.source.name for song in songs] == ["a.wav"]
    assert [failure.source.name for failure in failures] == ["private", "closed"]
    assert all(failure.error.endswith("cannot be read: permission denied.") for failure in failures)
