"""Writing: what was given is what the file holds, or there is no file."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.audio.files import read_audio
from streamsep.audio.pcm import quantize
from streamsep.audio.sink import FileSink, reason
from streamsep.audio.writer import AudioWriter
from streamsep.errors import OptionError, OutputError
from tests.sounds import tune


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("format", "bits"), [("wav", "16"), ("wav", "24"), ("wav", "f32"), ("flac", "16"), ("flac", "24")]
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_lossless_files_hold_exactly_the_quantized_sound(tmp_path: Path, format: str, bits: str, channels: int) -> None:
    sound = 1.2 * tune(0.5, 48_000, channels)
    path = tmp_path / f"a.{format}"
    with AudioWriter(path, 48_000, channels, format, bits) as writer:
        for start in range(0, sound.shape[1], 777):
            writer.write(sound[:, start : start + 777])
        assert names(tmp_path) == [f".a.{format}.{os.getpid()}.part"]
    assert names(tmp_path) == [path.name]
    read, rate = read_audio(path)
    assert rate == 48_000
    np.testing.assert_array_equal(read, quantize(sound, bits))


@pytest.mark.parametrize("bits", ["16", "24"])
def test_reading_and_writing_again_changes_nothing(tmp_path: Path, bits: str) -> None:
    full = 1 << (int(bits) - 1)
    sound = (np.array([[-full, -full + 1, -1, 0, 1, full - 2, full - 1]]) / full).astype(np.float32)
    for name in ("a.wav", "b.wav"):
        with AudioWriter(tmp_path / name, 44_100, 1, "wav", bits) as writer:
            writer.write(sound)
        sound, _ = read_audio(tmp_path / name)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_integers_clip_and_count_while_floats_keep(tmp_path: Path) -> None:
    sound = np.array([[0.5, 1.5, -1.5, -1.0]], np.float32)
    with AudioWriter(tmp_path / "a.wav", 44_100, 1, bits="24") as whole:
        whole.write(sound)
    with AudioWriter(tmp_path / "b.wav", 44_100, 1, bits="f32") as real:
        real.write(sound)
    assert whole.clipped == 2
    assert real.clipped == 0
    assert np.abs(read_audio(tmp_path / "a.wav")[0]).max() == 1
    np.testing.assert_array_equal(read_audio(tmp_path / "b.wav")[0], sound)


@pytest.mark.parametrize("format", ["mp3", "ogg"])
def test_lossy_files_keep_the_length(tmp_path: Path, format: str) -> None:
    sound = tune(3)
    with AudioWriter(tmp_path / f"a.{format}", 44_100, 2, format, None) as writer:
        writer.write(sound)
    read, _ = read_audio(tmp_path / f"a.{format}")
    assert read.shape == sound.shape
    assert np.corrcoef(read[0], sound[0])[0, 1] > 0.99


def test_small_files_are_plain_wav(tmp_path: Path) -> None:
    with AudioWriter(tmp_path / "a.wav", 44_100, 2) as writer:
        writer.write(tune(0.1))
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFF"
    assert soundfile.info(tmp_path / "a.wav").format in ("WAV", "WAVEX")


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), AudioWriter(tmp_path / "a.wav", 44_100, 2) as writer:
        writer.write(tune(0.5))
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_an_existing_file_is_kept_unless_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        AudioWriter(path, 44_100, 2)
    assert path.read_text() == "mine"
    with pytest.raises(RuntimeError), AudioWriter(path, 44_100, 2, overwrite=True) as writer:
        writer.write(tune(0.1))
        raise RuntimeError
    assert path.read_text() == "mine"
    with AudioWriter(path, 44_100, 2, overwrite=True) as writer:
        writer.write(tune(0.1))
    assert read_audio(path)[0].shape == (2, 4_410)


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="not a folder"):
        AudioWriter(tmp_path / "file" / "a.wav", 44_100, 2)
    with pytest.raises(OutputError, match="permission denied|read-only|refused|No such"):
        AudioWriter("/proc/streamsep/a.wav", 44_100, 2)
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        AudioWriter(tmp_path / "a.wav", 44_100, 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named() -> None:
    sink = FileSink(Path("/dev/full"))
    sink.write(b"x" * 1_000_000)
    sink.close()
    assert sink.error is not None
    assert reason(sink.error) == "the disk is full"


_LIMITED = """
import resource, signal, sys
import numpy as np
from streamsep.audio.writer import AudioWriter
from streamsep.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
format, bits, path = sys.argv[1], sys.argv[2] or None, sys.argv[3]
noise = np.random.default_rng(0).uniform(-1, 1, (2, 44_100)).astype(np.float32)
try:
    with AudioWriter(path, 44_100, 2, format, bits) as writer:
        for _ in range(20):
            writer.write(noise)
except OutputError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.parametrize(("format", "bits"), [("wav", "24"), ("flac", "16"), ("mp3", ""), ("ogg", "")])
def test_a_file_that_cannot_grow_is_an_error_and_leaves_nothing(tmp_path: Path, format: str, bits: str) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)  # the same mechanism as a disk quota
    command = [sys.executable, "-c", _LIMITED, format, bits, str(tmp_path / f"a.{format}")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("refused: ")
    assert "what was begun is removed" in done.stderr
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("format", "bits", "rate", "channels", "said"),
    [
        ("aac", None, 44_100, 2, "unknown format 'aac'"),
        ("wav", "8", 44_100, 2, "unknown bit depth '8'"),
        ("flac", "f32", 44_100, 2, "integers only"),
        ("mp3", "16", 44_100, 2, "no bit depth"),
        ("mp3", None, 96_000, 2, "mp3 cannot hold 2 channels at 96000 Hz"),
        ("mp3", None, 44_100, 6, "mp3 cannot hold 6 channels"),
    ],
)
def test_what_a_format_cannot_hold(
    tmp_path: Path, format: str, bits: str | None, rate: int, channels: int, said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        AudioWriter(tmp_path / "a.x", rate, channels, format, bits)
    assert names(tmp_path) == []
