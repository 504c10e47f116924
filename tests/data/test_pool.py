"""Pools on disk: whole songs or none, resumed where they stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from streamsep.config import STEMS
from streamsep.data.bank import Bank
from streamsep.data.dataset import compose_dataset, pieces, real_songs
from streamsep.data.pool import open_pool, to_int16, write_song
from streamsep.errors import AudioError, OptionError, OutputError

Sound = NDArray[np.float32]


def test_npy_round_trip(tmp_path: Path, stems: Sound) -> None:
    write_song(tmp_path, "one", stems, {"source": "composed"})
    (song,) = open_pool([tmp_path])
    assert song.name == "one" and song.meta == {"source": "composed"} and isinstance(song.stems, np.memmap)
    assert float(np.max(np.abs(song.stems / 32_768 - stems))) <= 0.5 / 32_768 + 1e-7


@pytest.mark.parametrize("format", ["flac", "wav"])
def test_sound_files_sum_to_their_mixture(tmp_path: Path, stems: Sound, format: str) -> None:
    folder = write_song(tmp_path, "one", 0.4 * stems, {}, format)
    sounds = {name: soundfile.read(folder / f"{name}.{format}", always_2d=True)[0] for name in (*STEMS, "mixture")}
    assert soundfile.info(folder / f"mixture.{format}").subtype == "PCM_24"
    error = np.abs(sum(sounds[name] for name in STEMS) - sounds["mixture"])
    assert float(error.max()) < 1e-6


def test_int16_clips_instead_of_wrapping() -> None:
    assert to_int16(np.array([2.0, -2.0, 0.0], np.float32)).tolist() == [32_767, -32_768, 0]


def test_half_written_songs_are_not_songs(tmp_path: Path, stems: Sound) -> None:
    write_song(tmp_path, "good", stems, {})
    part = tmp_path / ".bad.1.part"
    part.mkdir()
    np.save(part / "stems.npy", to_int16(stems))
    (part / "song.json").write_text("{}")
    (tmp_path / "worse").mkdir()
    np.save(tmp_path / "worse" / "stems.npy", to_int16(stems))
    assert [song.name for song in open_pool([tmp_path])] == ["good"]


def test_damaged_and_empty_pools_are_refused_in_words(tmp_path: Path, stems: Sound) -> None:
    with pytest.raises(OptionError, match="does not exist"):
        open_pool([tmp_path / "none"])
    with pytest.raises(OptionError, match="no song"):
        open_pool([tmp_path])
    folder = write_song(tmp_path, "cut", stems, {})
    data = (folder / "stems.npy").read_bytes()
    (folder / "stems.npy").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="cut"):
        open_pool([tmp_path])


def test_unwritable_folder_leaves_nothing(tmp_path: Path, stems: Sound) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_song(tmp_path / "file", "one", stems, {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_dataset_goes_on_and_repeats_itself(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert compose_dataset(tmp_path / "a", 2, 1.5, progress=lambda done, total: seen.append((done, total))) == 2
    assert seen == [(0, 2), (1, 2), (2, 2)]
    changed = [path.stat().st_mtime_ns for path in sorted((tmp_path / "a").rglob("stems.npy"))]
    assert compose_dataset(tmp_path / "a", 3, 1.5) == 1
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "a").rglob("stems.npy"))][:2] == changed
    compose_dataset(tmp_path / "b", 3, 1.5, workers=2)
    for one, other in zip(open_pool([tmp_path / "a"]), open_pool([tmp_path / "b"]), strict=True):
        assert one.meta == other.meta and np.array_equal(one.stems, other.stems)


def test_dataset_refuses_to_mix_options(tmp_path: Path) -> None:
    compose_dataset(tmp_path, 1, 1.5)
    with pytest.raises(OptionError, match="other options"):
        compose_dataset(tmp_path, 1, 2.0)
    with pytest.raises(OptionError, match="other options"):
        compose_dataset(tmp_path, 1, 1.5, format="flac")


def test_a_killed_run_leaves_whole_songs_and_can_go_on(tmp_path: Path) -> None:
    code = "import sys, pathlib; from streamsep.data.dataset import compose_dataset as compose; "
    code += "compose(pathlib.Path(sys.argv[1]), 400, 6.0)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("train_*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    songs = open_pool([tmp_path])
    assert songs and all(song.stems.shape == (4, 2, 288_000) for song in songs)
    # What a process that is no more left half-written goes away, another's stays.
    left = tmp_path / f".train_{1_000_000 + len(songs):08d}.{process.pid}.part"
    left.mkdir(exist_ok=True)
    mine = tmp_path / f".train_00000000.{os.getpid()}.part"
    mine.mkdir()
    compose_dataset(tmp_path, len(songs) + 1, 6.0)
    assert len(open_pool([tmp_path])) == len(songs) + 1
    assert mine.is_dir() and not left.exists()


def test_whole_songs_of_the_bank_in_pieces(tmp_path: Path, bank_index: Path) -> None:
    bank = Bank.open(bank_index).split("train")
    assert real_songs(tmp_path, bank) == 1 == real_songs(tmp_path, bank)
    (song,) = open_pool([tmp_path])
    assert song.stems.shape == (4, 2, 12 * 48_000) and song.meta["source"] == "real"
    assert song.meta["active"]["bass"] == 0.0 and song.meta["active"]["vocals"] > 0.9
    assert not np.any(song.stems[2]) and np.any(song.stems[1])
    assert json.loads((tmp_path / "act_00" / "song.json").read_text())["seconds"] == 12.0


def test_pieces_leave_out_silence_and_stumps() -> None:
    stems = np.zeros((4, 2, 48_000 * 45), np.float32)
    stems[:, :, : 48_000 * 25] = 0.1
    assert [piece.shape[2] // 48_000 for piece in pieces(stems, 10.0)] == [10, 10, 10]
    assert [piece.shape[2] // 48_000 for piece in pieces(stems[:, :, : 48_000 * 23], 10.0)] == [10, 10]
    assert [piece.shape[2] // 48_000 for piece in pieces(stems[:, :, : 48_000 * 3], 10.0)] == [3]
