"""The files of a song: together or not at all, and what they sum to."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamsep.audio.files import read_audio
from streamsep.audio.writer import AudioWriter
from streamsep.config import STEMS
from streamsep.errors import OutputError
from streamsep.files.options import SeparateOptions
from streamsep.files.stems import StemFiles
from tests.sounds import tune


def parts(mixture: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Four stems that sum to ``mixture`` up to rounding."""
    return {stem: mixture * np.float32(share) for stem, share in zip(STEMS, (0.1, 0.2, 0.3, 0.4), strict=True)}


def files(tmp_path: Path, **options: object) -> StemFiles:
    chosen = SeparateOptions(tmp_path / "out", **options)  # pyright: ignore[reportArgumentType]
    return StemFiles(tmp_path / "out" / "deep" / "song", tmp_path / "song.wav", 44_100, 2, None, chosen)


@pytest.mark.parametrize(("bits", "limit"), [("16", -84), ("24", -132), ("f32", -140)])
def test_the_error_told_is_the_error_written(tmp_path: Path, bits: str, limit: float) -> None:
    mixture = tune(0.5)
    with files(tmp_path, bits=bits) as stems:
        for start in range(0, mixture.shape[1], 1_000):
            block = mixture[:, start : start + 1_000]
            stems.write(block, parts(block))
    written = np.sum([read_audio(path)[0] for path in stems.paths.values()], axis=0, dtype=np.float64)
    error = 20 * np.log10(np.abs(written - mixture).max())
    assert stems.sum_error_dbfs == pytest.approx(error, abs=1e-6)
    assert error < limit


def test_an_error_that_is_there_is_told(tmp_path: Path) -> None:
    mixture = tune(0.1)
    with files(tmp_path) as stems:
        wrong = parts(mixture)
        wrong["bass"] = wrong["bass"] + np.float32(0.01)
        stems.write(mixture, wrong)
    assert stems.sum_error_dbfs == pytest.approx(-40, abs=0.01)


@pytest.mark.parametrize("bits", ["16", "24"])
def test_two_stems_leave_no_error_at_all(tmp_path: Path, bits: str) -> None:
    mixture = (np.rint(tune(0.2) * 32_768) / 32_768).astype(np.float32)
    with files(tmp_path, two_stems="drums", bits=bits) as stems:
        stems.write(mixture, parts(mixture))
    drums, rest = (read_audio(path)[0] for path in stems.paths.values())
    np.testing.assert_array_equal(drums + rest, mixture)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_a_failure_leaves_neither_files_nor_folders(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), files(tmp_path) as stems:
        stems.write(tune(0.1), parts(tune(0.1)))
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_among_the_last_steps_leaves_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = AudioWriter.commit

    def interrupted(writer: AudioWriter) -> None:
        commit(writer)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(AudioWriter, "commit", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), files(tmp_path) as stems:
            stems.write(tune(0.1), parts(tune(0.1)))
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(path.stem for path in tmp_path.rglob("*.*")) == sorted(STEMS)


def test_folders_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError), files(tmp_path):
        raise OSError
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_a_file_in_the_way_stops_all_of_them(tmp_path: Path) -> None:
    target = tmp_path / "out" / "deep" / "song" / "other.wav"
    target.parent.mkdir(parents=True)
    target.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        files(tmp_path)
    assert target.read_text() == "mine"
