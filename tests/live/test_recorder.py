"""Recording: aligned files that can be read at any time, and a full disk that stops only the recording."""

from __future__ import annotations

import contextlib
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.audio.files import read_audio
from streamsep.config import STEMS
from streamsep.errors import OutputError
from streamsep.live.recorder import Recorder
from streamsep.live.ring import Ring
from tests.sounds import tune

SAMPLES = 96_000


@pytest.fixture
def rings() -> Iterator[tuple[Ring, Ring]]:
    source, results = Ring.create(2, 1 << 18), Ring.create(8, 1 << 18)
    yield source, results
    source.close()
    results.close()


def parts() -> np.ndarray:
    return np.stack([0.25 * tune(2.0, 48_000, seed=seed) for seed in range(len(STEMS))])


def test_files_are_aligned_and_gaps_of_the_model_are_silent(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    source, results = rings
    said: list[str] = []
    recorder = Recorder(tmp_path / "takes", source, results, said.append)
    recorder.start()
    stems = parts()
    results.restart(24_000)  # the model came half a second late
    results.write(stems[:, :, 24_000:].reshape(8, -1))
    source.write(stems.sum(0))
    recorder.stop()
    assert said == [] and not recorder.running
    mixture, rate = read_audio(recorder.folder / "mixture.flac")
    assert (rate, mixture.shape) == (48_000, (2, SAMPLES))
    assert np.abs(mixture - stems.sum(0)).max() < 2e-7
    for index, stem in enumerate(STEMS):
        sound, _ = read_audio(recorder.folder / f"{stem}.flac")
        assert np.abs(sound[:, :24_000]).max() == 0
        assert np.abs(sound[:, 24_000:] - stems[index][:, 24_000:]).max() < 2e-7


def test_a_model_that_starts_again_takes_nothing_back(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    source, results = rings
    recorder = Recorder(tmp_path, source, results, print)
    recorder.start()
    stems = parts().reshape(8, -1)
    results.write(stems[:, :60_000])
    results.restart(36_000)  # the next process hears some of the past first
    results.write(stems[:, 36_000:])
    source.write(stems.reshape(4, 2, -1).sum(0))
    recorder.stop()
    vocals, _ = read_audio(recorder.folder / "vocals.flac")
    assert np.abs(vocals - stems[:2]).max() < 2e-7


def test_a_model_that_is_as_late_as_it_may_be_leaves_no_silence(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    source, results = rings
    recorder = Recorder(tmp_path, source, results, print)
    recorder.start()
    stems = parts().reshape(8, -1)
    source.write(stems.reshape(4, 2, -1).sum(0)[:, : 48_000 + 9_600 + 960])  # a backlog of a second, and its latency
    time.sleep(0.5)
    results.write(stems[:, : 48_000 + 9_600 + 960])
    recorder.stop()
    vocals, _ = read_audio(recorder.folder / "vocals.flac")
    assert np.abs(vocals - stems[:2, : 48_000 + 9_600 + 960]).max() < 2e-7


def test_what_was_recorded_can_be_read_before_the_end(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    source, results = rings
    recorder = Recorder(tmp_path, source, results, print)
    recorder.start()
    sound = np.tile(parts().sum(0), 2)
    results.write(np.zeros((8, sound.shape[1]), np.float32))
    source.write(sound)
    try:
        deadline = time.monotonic() + 60
        read = np.zeros((2, 0), np.float32)
        while read.shape[1] < 48_000 and time.monotonic() < deadline:
            time.sleep(0.1)
            # As a kill would leave it: no header was completed, no end was written.
            left = shutil.copy(recorder.folder / "mixture.flac", tmp_path / "left.flac")
            with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(left) as file:
                read = file.read(48_000, dtype="float32", always_2d=True).T
        assert np.abs(read - sound[:, : read.shape[1]]).max() < 2e-7
        assert read.shape[1] == 48_000
    finally:
        recorder.stop()


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk does to a file, for all of this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_the_recording_in_one_line(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    source, results = rings
    said: list[str] = []
    recorder = Recorder(tmp_path, source, results, said.append)
    with files_of_at_most(60_000):
        recorder.start()
        rng = np.random.default_rng(0)
        source.write(0.5 * rng.standard_normal((2, 150_000)).astype(np.float32))
        deadline = time.monotonic() + 60
        while recorder.running and time.monotonic() < deadline:
            time.sleep(0.05)
    recorder.stop()
    assert not recorder.running
    assert len(said) == 1 and "ends here" in said[0] and "the sound goes on" in said[0]


def test_a_disk_that_is_full_only_at_the_end_is_told(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    source, results = rings
    said: list[str] = []
    recorder = Recorder(tmp_path, source, results, said.append)
    with files_of_at_most(1_000):
        recorder.start()
        source.write(0.5 * np.random.default_rng(0).standard_normal((2, 1_000)).astype(np.float32))
        recorder.stop()
    assert len(said) == 1 and "ends here" in said[0]
    assert recorder.broken == said[0]


def test_what_was_overwritten_before_it_was_written_is_told_once(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    source, results = rings
    said: list[str] = []
    recorder = Recorder(tmp_path, source, results, said.append)
    for ring in rings:
        ring.write(np.full((ring.channels, 5 * 48_000), 0.25, np.float32))
    recorder.start()
    recorder.stop()
    assert recorder.holes > 1 and not recorder.broken
    assert len(said) == 1 and "has a hole" in said[0]
    sound, _ = read_audio(recorder.folder / "vocals.flac")
    assert sound.shape == (2, 5 * 48_000)
    assert np.abs(sound[:, -48_000:] - 0.25).max() < 2e-7


def test_a_folder_that_cannot_be(tmp_path: Path, rings: tuple[Ring, Ring]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        Recorder(tmp_path / "file", *rings, print)
