"""Whatever is wrong: one clear sentence, exit code 2, nothing half-written, and the next song goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.audio.files import read_audio
from tests.audio.test_files import patched_wav
from tests.cli.conftest import Run
from tests.conftest import Song
from tests.sounds import tune


def refused(run: Run, out: Path, *arguments: object) -> str:
    """The one line that ``streamsep separate`` ends with, after checking that nothing else is left of it."""
    result = run("separate", *arguments, "-o", out)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("streamsep: ")
    assert result.err.count("\n") == 1
    assert not out.exists()
    return result.err


def test_files_that_are_no_songs(run: Run, tmp_path: Path, make_song: Song) -> None:
    out = tmp_path / "out"
    assert "does not exist" in refused(run, out, tmp_path / "no.wav")
    (tmp_path / "empty.wav").touch()
    assert "is empty" in refused(run, out, tmp_path / "empty.wav")
    (tmp_path / "text.mp3").write_text("La la la. " * 100)
    assert "not a sound file" in refused(run, out, tmp_path / "text.mp3")
    song = make_song("cut.wav", 1.0)
    song.write_bytes(song.read_bytes()[:50_000])
    assert "cut off" in refused(run, out, song)
    assert "0 channels" in refused(run, out, patched_wav(tmp_path / "a.wav", 0, 44_100))
    assert "12 channels" in refused(run, out, patched_wav(tmp_path / "b.wav", 12, 44_100))
    assert "4000 Hz" in refused(run, out, patched_wav(tmp_path / "c.wav", 2, 4_000))
    assert "384000 Hz" in refused(run, out, patched_wav(tmp_path / "d.wav", 2, 384_000))
    (tmp_path / "bare").mkdir()
    assert "without sound files" in refused(run, out, tmp_path / "bare")


def test_a_file_that_breaks_on_the_way_leaves_no_stems(run: Run, tmp_path: Path, make_song: Song) -> None:
    song = make_song("song.flac", 3.0)
    song.write_bytes(song.read_bytes()[: song.stat().st_size * 2 // 3])
    assert "cut off" in refused(run, tmp_path / "out", song)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--stems", "vocals,piano", "unknown stem 'piano'; choose among vocals, drums, bass, other"),
        ("--two-stems", "guitar", "unknown stem 'guitar'"),
        ("--stems", ",", "no stem is named"),
        ("--format", "aac", "unknown format 'aac'"),
        ("--bits", "12", "unknown bit depth '12'"),
        ("--render", "magic", "unknown render 'magic'"),
        ("--device", "tpu", "unknown device 'tpu'"),
        ("--lookahead", "5", "unknown lookahead 5"),
        ("--threads", "0", "--threads 0"),
        ("--model", "huge", "huge"),
    ],
)
def test_options_that_make_no_sense(
    run: Run, make_song: Song, tmp_path: Path, option: str, value: str, said: str
) -> None:
    assert said in refused(run, tmp_path / "out", make_song(seconds=0.1), option, value)


def test_options_that_exclude_each_other(run: Run, make_song: Song, tmp_path: Path) -> None:
    song, out = make_song(seconds=0.1, rate=96_000), tmp_path / "out"
    assert "exclude each other" in refused(run, out, song, "--stems", "bass", "--two-stems", "bass")
    assert "integers only" in refused(run, out, song, "--format", "flac", "--bits", "f32")
    assert "no bit depth" in refused(run, out, song, "--format", "ogg", "--bits", "16")
    assert "mp3 cannot hold 2 channels at 96000 Hz" in refused(run, out, song, "--format", "mp3")


def test_cuda_asked_for_and_absent(run: Run, make_song: Song, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    assert "CUDA" in refused(run, tmp_path / "out", make_song(seconds=0.1), "--device", "cuda")


def test_a_batch_goes_on_and_sums_up(run: Run, make_song: Song, tmp_path: Path) -> None:
    good = [make_song("a.wav", 0.2), make_song("z.wav", 0.2)]
    bad = tmp_path / "b.wav"
    bad.write_text("no sound")
    result = run("separate", good[0], bad, tmp_path / "no.wav", good[1], "-o", tmp_path / "out", "--json")
    assert result.code == 2
    report = json.loads(result.out)
    assert [song["source"] for song in report["songs"]] == [str(path) for path in good]
    assert sorted(failure["source"] for failure in report["failed"]) == [str(bad), str(tmp_path / "no.wav")]
    assert result.err.splitlines()[-1] == "streamsep: 2 of 4 songs failed; the others are done."
    assert all(Path(path).exists() for song in report["songs"] for path in song["stems"].values())


def test_broken_samples_are_silence_and_said_once(run: Run, tmp_path: Path) -> None:
    sound = tune(2.5)
    sound[0, 1_000:1_100] = np.nan
    sound[1, 100_000] = np.inf
    soundfile.write(tmp_path / "song.wav", sound.T, 44_100, subtype="FLOAT")
    result = run("separate", tmp_path / "song.wav", "-o", tmp_path / "out", "--bits", "f32")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert "101 samples are NaN" in result.err
    total = sum(read_audio(path)[0] for path in (tmp_path / "out" / "song").iterdir())
    np.testing.assert_allclose(total, np.where(np.isfinite(sound), sound, 0), atol=1e-4)


def test_clipping_and_dc_are_said_and_the_sum_still_holds(run: Run, tmp_path: Path) -> None:
    sound = np.clip(3 * tune(1.0) + 0.2, -1, 1)
    soundfile.write(tmp_path / "song.wav", sound.T, 44_100, subtype="FLOAT")
    result = run("separate", tmp_path / "song.wav", "-o", tmp_path / "out", "--bits", "f32", "--json")
    (song,) = json.loads(result.out)["songs"]
    assert any("clipped" in warning for warning in song["warnings"])
    assert any("DC offset" in warning for warning in song["warnings"])
    assert song["sum_error_dbfs"] < -80


def test_sound_above_full_scale_is_clipped_and_said_in_integers_only(run: Run, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", 4 * tune(0.5).T, 44_100, subtype="FLOAT")
    for bits, expected in (("24", True), ("f32", False)):
        result = run("separate", tmp_path / "song.wav", "-o", tmp_path / bits, "--bits", bits, "--json")
        (song,) = json.loads(result.out)["songs"]
        assert any("above full scale" in warning for warning in song["warnings"]) is expected


@pytest.mark.parametrize("samples", [1, 2, 959, 1_921])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_hardly_any_samples(run: Run, tmp_path: Path, samples: int, rate: int) -> None:
    soundfile.write(tmp_path / "song.wav", np.full((samples, 2), 0.25), rate, subtype="PCM_24")
    result = run("separate", tmp_path / "song.wav", "-o", tmp_path / "out")
    assert result.code == 0
    stems = [read_audio(path)[0] for path in (tmp_path / "out" / "song").iterdir()]
    assert {stem.shape for stem in stems} == {(2, samples)}
    np.testing.assert_allclose(sum(stems), 0.25, atol=1e-4)


def test_folders_that_cannot_be_written(run: Run, make_song: Song, tmp_path: Path) -> None:
    song = make_song(seconds=0.1)
    (tmp_path / "file").touch()
    result = run("separate", song, "-o", tmp_path / "file")
    assert result.code == 2
    assert "not a folder" in result.err
    result = run("separate", song, "-o", "/proc/streamsep")
    assert result.code == 2
    assert "cannot be written" in result.err


def test_a_song_too_long_for_the_disk_is_refused_at_once(run: Run, tmp_path: Path) -> None:
    # Ten thousand hours of silence that take no room: a sparse file.
    patched = patched_wav(tmp_path / "long.rf64", 2, 48_000)
    soundfile.write(patched, np.zeros((10, 2)), 48_000, format="RF64", subtype="PCM_16")
    header = bytearray(patched.read_bytes())
    seconds = 36_000_000
    size = seconds * 48_000 * 4
    at = header.index(b"ds64") + 8
    header[at : at + 24] = b"".join(n.to_bytes(8, "little") for n in (size + 96, size, seconds * 48_000))
    start = header.index(b"data")
    patched.write_bytes(header[: start + 8])
    try:
        os.truncate(patched, start + 8 + size)
    except OSError:
        pytest.skip("this disk has no sparse files of such size")
    text = refused(run, tmp_path / "out", patched)
    assert "MB left" in text


_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from streamsep.cli import main
main(sys.argv[1:])
"""


def test_a_disk_that_ends_on_the_way(make_song: Song, tmp_path: Path) -> None:
    song, out = make_song(seconds=2.0), tmp_path / "out"
    command = [sys.executable, "-c", _LIMITED, "separate", str(song), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupt_removes_what_was_begun(make_song: Song, tmp_path: Path, number: int, code: int) -> None:
    song, out = make_song(seconds=900, rate=8_000, channels=1), tmp_path / "out"
    command = [sys.executable, "-m", "streamsep", "separate", str(song), "-o", str(out)]
    # A run in a shell's background ignores Ctrl-C; the command is told not to inherit that.
    heeds = partial(signal.signal, number, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heeds)
    deadline = time.monotonic() + 120
    while not list(out.rglob("*.part")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    try:
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert not out.exists()
