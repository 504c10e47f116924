"""``streamsep codec`` on real files, with the shipped codec and an imported H-Codec-2.0."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file

from streamsep.audio.files import read_audio
from streamsep.codec.hcodec2.checkpoint import FORMAT, save_folder
from streamsep.transcode.tokens import read_tokens
from tests.cli.conftest import Run
from tests.codec.hcodec2.small import small_codec
from tests.conftest import Song
from tests.sounds import tune

VECTORS = Path(__file__).parent.parent / "codec" / "hcodec2" / "vectors"
TEACHER = """
def bands(config):
    return lambda wave: wave.unfold(-1, 960, 960)[..., :6].transpose(1, 2)
"""


@pytest.fixture
def hcodec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an imported H-Codec-2.0; ``teacher:bands`` is a teacher for it."""
    model = small_codec(rate=48_000)
    folder = tmp_path / "imported" / "small-h"
    save_folder(folder, model.state_dict(), {"format": FORMAT, "config": model.cfg.to_dict()})
    (tmp_path / "teacher.py").write_text(TEACHER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("STREAMSEP_MODELS", str(tmp_path / "imported"))
    return "small-h"


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (8_000, 1)])
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_encode_then_decode(run: Run, make_song: Song, tmp_path: Path, rate: int, channels: int, suffix: str) -> None:
    song, tokens, out = make_song("song.wav", 0.5, rate, channels), tmp_path / f"t.{suffix}", tmp_path / "again.wav"
    report = json.loads(run("codec", "encode", song, "-o", tokens, "--json").out)
    assert (report["channels"], report["codebooks"], report["bits_per_second"]) == (channels, 8, 2_000)
    assert report["seconds"] == 0.5 and report["tokens"] == 13
    result = run("codec", "decode", tokens, "-o", out)
    assert result.code == 0 and "13 tokens" in result.out
    sound, decoded_rate = read_audio(out)
    assert (sound.shape, decoded_rate) == ((channels, 24_000), 48_000)
    assert sound.any()


def test_roundtrip_is_encode_and_decode_with_scores_and_a_picture(run: Run, make_song: Song, tmp_path: Path) -> None:
    song = make_song("Ca$h $ong.wav", 1.2)
    result = run("codec", "roundtrip", song, "-o", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["seconds_scored"] == 1 and -60 <= report["si_sdr_db"] <= 60
    assert 0 < report["log_spectral_distance_db"] < 40
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["Ca$h $ong.npz", "Ca$h $ong.png", "Ca$h $ong.wav"]
    run("codec", "encode", song, "-o", tmp_path / "t.npz")
    run("codec", "decode", tmp_path / "t.npz", "-o", tmp_path / "t.wav")
    np.testing.assert_array_equal(read_tokens(tmp_path / "t.npz").codes, read_tokens(tmp_path / "out" / files[0]).codes)
    np.testing.assert_array_equal(read_audio(tmp_path / "t.wav")[0], read_audio(tmp_path / "out" / files[2])[0])
    again = run("codec", "roundtrip", song, "-o", tmp_path / "out")
    assert again.code == 2 and "exists already" in again.err
    before = song.read_bytes()
    itself = run("codec", "roundtrip", song, "-o", tmp_path, "--overwrite")
    assert itself.code == 2 and "would overwrite the sound itself" in itself.err and song.read_bytes() == before


def test_what_is_no_number_is_coded_as_silence(run: Run, tmp_path: Path) -> None:
    sound = tune(0.5).T.copy()
    for name, bad in (("silence", 0.0), ("nan", np.nan), ("inf", np.inf), ("absurd", 1e30)):
        sound[1_000:1_010] = bad
        soundfile.write(tmp_path / f"{name}.wav", sound, 44_100, "FLOAT")
        assert run("codec", "encode", tmp_path / f"{name}.wav", "-o", tmp_path / f"{name}.npz").code == 0
    codes = [read_tokens(tmp_path / f"{name}.npz").codes for name in ("silence", "nan", "inf", "absurd")]
    for other in codes[1:]:
        np.testing.assert_array_equal(other, codes[0])


def test_a_roundtrip_without_a_folder_writes_nothing(run: Run, make_song: Song, tmp_path: Path) -> None:
    result = run("codec", "roundtrip", make_song(seconds=0.3), "--codebooks", 4)
    assert result.code == 0 and "4 codebooks, 1.10 kbit/s, SI-SDR" in result.out
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_an_imported_codec(run: Run, make_song: Song, tmp_path: Path, hcodec: str) -> None:
    song = make_song("song.wav", 2.5, 44_100)
    options = ("--codec", hcodec, "--semantic", "teacher:bands", "--piece", 1)
    result = run("codec", "roundtrip", song, "-o", tmp_path / "out", *options, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert (report["channels"], report["codebooks"], report["tokens"]) == (1, 6, 32)
    assert report["bits_per_second"] == 12.5 * 6 * 4
    decoded = run("codec", "decode", tmp_path / "out" / "song.npz", "-o", tmp_path / "t.wav", "--codec", hcodec)
    assert decoded.code == 0, decoded.err
    np.testing.assert_array_equal(read_audio(tmp_path / "t.wav")[0], read_audio(tmp_path / "out" / "song.wav")[0])
    assert read_audio(tmp_path / "t.wav")[0].shape == (1, 120_000)
    wrong = run("codec", "decode", tmp_path / "out" / "song.npz", "-o", tmp_path / "u.wav")
    assert wrong.code == 2 and "'small-h'" in wrong.err and not (tmp_path / "u.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--codec", "mp3"), "there is no codec 'mp3'"),
        (("--codec", "small-h"), "give --semantic"),
        (("--codec", "small-h", "--semantic", "nowhere"), "holds no HuBERT"),
        (("--codec", "small-h", "--semantic", "teacher:bands", "--piece", "0"), "between 1 and 600"),
        (("--semantic", "teacher:bands"), "leave --semantic out"),
        (("--codebooks", "9"), "1 to 8 codebooks"),
        (("--device", "tpu"), "unknown device 'tpu'"),
    ],
)
def test_options_that_cannot_be(
    run: Run, make_song: Song, tmp_path: Path, hcodec: str, arguments: tuple[str, ...], said: str
) -> None:
    result = run("codec", "encode", make_song(seconds=0.2), "-o", tmp_path / "t.npz", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "t.npz").exists()


def test_files_that_cannot_be(run: Run, make_song: Song, tmp_path: Path) -> None:
    song = make_song(seconds=0.2)
    soundfile.write(tmp_path / "six.wav", np.zeros((100, 6)), 48_000)
    for arguments, said in (
        (("encode", tmp_path / "no.wav", "-o", tmp_path / "t.npz"), "does not exist"),
        (("encode", tmp_path / "six.wav", "-o", tmp_path / "t.npz"), "1 or 2 channels, not 6"),
        (("encode", song, "-o", tmp_path / "t.mp3"), ".npz or .safetensors"),
        (("decode", tmp_path / "no.npz", "-o", tmp_path / "t.wav"), "does not exist"),
        (("decode", song, "-o", tmp_path / "t.wav"), ".npz or .safetensors"),
        (("decode", tmp_path / "no.npz", "-o", tmp_path / "t.mp3"), ".wav or .flac"),
        (("verify", tmp_path), "holds no reference vectors"),
    ):
        result = run("codec", *arguments)
        assert result.code == 2 and said in result.err and result.err.count("\n") == 1, arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == ["six.wav", "song.wav"]


def test_verify_prints_every_stage(run: Run) -> None:
    result = run("codec", "verify", VECTORS)
    assert result.code == 0, result.err
    assert "out.decoded_wave" in result.out and "all within 0.0001" in result.out and "BEYOND" not in result.out


def test_verify_fails_beyond_the_tolerance(run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(VECTORS, tmp_path / "vectors")
    outputs = load_file(folder / "causal.safetensors")
    outputs["out.decoded_wave"][0, 5] += 0.01
    outputs["out.semantic_codes"][0, 0, 0] += 1
    save_file(outputs, folder / "causal.safetensors")
    result = run("codec", "verify", folder)
    assert result.code == 1 and "BEYOND" in result.out and "1 of 33 codes" in result.out
    report = json.loads(run("codec", "verify", folder, "--tolerance", 0.1, "--json").out)
    off = {(row["case"], row["stage"]) for row in report["stages"] if not row["within"]}
    assert ("causal", "out.semantic_codes") in off and ("causal", "out.decoded_wave") in off
    assert all(case == "causal" for case, _ in off)
