"""``streamsep separate`` on real files with the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamsep.audio.files import read_audio
from streamsep.config import STEMS
from tests.cli.conftest import Run
from tests.conftest import Song


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def separated(run: Run, *arguments: object) -> dict[str, Any]:
    result = run("separate", *arguments, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def stems_of(song: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: read_audio(path)[0] for name, path in song["stems"].items()}


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1), (44_100, 2), (8_000, 1), (96_000, 2)])
@pytest.mark.parametrize(("format", "bits"), [("wav", "f32"), ("flac", "24")])
def test_stems_have_the_songs_shape_and_sum_to_it(
    run: Run, make_song: Song, tmp_path: Path, rate: int, channels: int, format: str, bits: str
) -> None:
    source = make_song("song.wav", 1.003, rate, channels, "PCM_24")
    report = separated(run, source, "-o", tmp_path / "out", "--format", format, "--bits", bits)
    (song,) = report["songs"]
    mixture, _ = read_audio(source)
    assert (song["rate"], song["channels"], song["samples"]) == (rate, channels, mixture.shape[1])
    assert files(tmp_path / "out") == sorted(f"song/{stem}.{format}" for stem in STEMS)
    stems = stems_of(song)
    assert all(stem.shape == mixture.shape for stem in stems.values())
    error = np.abs(np.sum(list(stems.values()), axis=0, dtype=np.float64) - mixture).max()
    assert 20 * np.log10(error + 1e-12) < -80
    # What the report says was measured is what the files hold.
    assert song["sum_error_dbfs"] == pytest.approx(max(-200, 20 * np.log10(error + 1e-12)), abs=3)
    assert song["latency_ms"] == pytest.approx(1000 * song["latency_samples"] / rate, abs=0.001)
    assert song["real_time_factor"] > 0


def test_more_than_two_channels_keep_their_count_and_sum(run: Run, make_song: Song, tmp_path: Path) -> None:
    source = make_song("song.wav", 0.4, 48_000, 5, "PCM_24")
    (song,) = separated(run, source, "-o", tmp_path / "out")["songs"]
    mixture, _ = read_audio(source)
    total = np.sum(list(stems_of(song).values()), axis=0)
    assert total.shape == mixture.shape == (5, 19_200)
    assert np.abs(total - mixture).max() < 1e-4


def test_two_stems_sum_to_the_song_exactly(run: Run, make_song: Song, tmp_path: Path) -> None:
    source = make_song("song.wav", 0.8, subtype="PCM_16")
    (song,) = separated(run, source, "-o", tmp_path / "out", "--two-stems", "vocals")["songs"]
    stems = stems_of(song)
    assert list(stems) == ["vocals", "no_vocals"]
    np.testing.assert_array_equal(stems["vocals"] + stems["no_vocals"], read_audio(source)[0])
    assert song["sum_error_dbfs"] == -200


def test_only_the_stems_asked_for(run: Run, make_song: Song, tmp_path: Path) -> None:
    report = separated(run, make_song(seconds=0.3), "-o", tmp_path / "out", "--stems", "bass, vocals", "--bits", "16")
    assert files(tmp_path / "out") == ["song/bass.wav", "song/vocals.wav"]
    assert report["songs"][0]["sum_error_dbfs"] is None


@pytest.mark.parametrize("format", ["mp3", "ogg"])
def test_lossy_formats_keep_the_length(run: Run, make_song: Song, tmp_path: Path, format: str) -> None:
    (song,) = separated(run, make_song(seconds=1.1), "-o", tmp_path / "out", "--format", format)["songs"]
    assert {stem.shape for stem in stems_of(song).values()} == {(2, 48_510)}
    assert song["sum_error_dbfs"] is None


def test_folders_keep_their_shape_and_songs_are_done_once(run: Run, make_song: Song, tmp_path: Path) -> None:
    for name in ("in/a.wav", "in/disc 2/b.flac", "in/disc 2/b.wav", "in/.hidden.wav", "in/out/old/vocals.wav"):
        make_song(name, 0.2)
    (tmp_path / "in" / "cover.txt").write_text("no sound")
    out = tmp_path / "in" / "out"
    report = separated(run, tmp_path / "in", tmp_path / "in" / "a.wav", "-o", out, "--two-stems", "drums")
    assert len(report["songs"]) == 3
    folders = {str(Path(path).parent.relative_to(out)) for song in report["songs"] for path in song["stems"].values()}
    assert folders == {"a", "disc 2/b", "disc 2/b.wav"}


def test_nothing_is_overwritten_unless_told(run: Run, make_song: Song, tmp_path: Path) -> None:
    song, out = make_song(seconds=0.2), tmp_path / "out"
    (out / "song").mkdir(parents=True)
    (out / "song" / "bass.wav").write_text("mine")
    result = run("separate", song, "-o", out)
    assert result.code == 2
    assert "exists already" in result.err
    assert files(out) == ["song/bass.wav"]
    assert (out / "song" / "bass.wav").read_text() == "mine"
    assert run("separate", song, "-o", out, "--overwrite").code == 0
    assert read_audio(out / "song" / "bass.wav")[0].shape == (2, 8_820)


def test_a_song_is_never_its_own_stem(run: Run, make_song: Song, tmp_path: Path) -> None:
    song = make_song("vocals/vocals.wav", 0.2)
    before = song.read_bytes()
    result = run("separate", song, "-o", tmp_path, "--overwrite")
    assert result.code == 2
    assert "would overwrite the song itself" in result.err
    assert song.read_bytes() == before


def test_lookahead_and_latency_grow_together(run: Run, make_song: Song, tmp_path: Path) -> None:
    song = make_song(seconds=0.3, rate=48_000)
    latencies = []
    for k in (-1, 0, 1, 2):
        report = separated(run, song, "-o", tmp_path / f"out{k}", "--lookahead", k)
        latencies.append(report["songs"][0]["latency_samples"])
    assert np.diff(latencies)[1:].tolist() == [1920, 1920]
    assert latencies[0] < latencies[1]


def test_a_seed_makes_runs_repeat(run: Run, make_song: Song, tmp_path: Path) -> None:
    song = make_song(seconds=0.4)
    for name in ("a", "b"):
        separated(run, song, "-o", tmp_path / name, "--seed", 7)
    for stem in STEMS:
        first, second = ((tmp_path / name / "song" / f"{stem}.wav").read_bytes() for name in "ab")
        assert first == second


def test_people_get_one_line_a_song(run: Run, make_song: Song, tmp_path: Path) -> None:
    result = run("separate", make_song(seconds=0.3), "-o", tmp_path / "out")
    assert result.code == 0
    assert result.err == ""
    assert result.out.count("\n") == 1
    assert "vocals, drums, bass, other" in result.out
    assert "× real time" in result.out
