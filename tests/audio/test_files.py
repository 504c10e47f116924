"""Reading: every kind of file, exact length, and each way to be unreadable."""

from __future__ import annotations

import os
import resource
import struct
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamsep.audio.files import open_audio, probe, read_audio
from streamsep.errors import AudioError
from tests.sounds import tune


def encode(path: Path, codec: str, sound: NDArray[np.float32], rate: int, gap: float = 0) -> Path:
    """Write ``sound`` with FFmpeg's ``codec``; the container follows the name. ``gap``: seconds left out halfway."""
    layout = "stereo" if sound.shape[0] == 2 else "mono"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        for start in range(0, sound.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, start : start + 1024]), "fltp", layout)
            frame.rate, frame.pts = rate, start + (round(gap * rate) if start > sound.shape[1] // 2 else 0)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def lag(sound: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    """By how many samples ``other`` runs behind, from the cross-correlation."""
    size = 1 << (sound.shape[1] + other.shape[1]).bit_length()
    product = np.fft.rfft(other[0], size) * np.conj(np.fft.rfft(sound[0], size))
    peak = int(np.argmax(np.fft.irfft(product)))
    return peak if peak < size // 2 else peak - size


@pytest.mark.parametrize(
    ("name", "subtype", "error"),
    [
        ("a.wav", "PCM_16", 5e-5),
        ("a.wav", "PCM_24", 3e-7),
        ("a.wav", "FLOAT", 0),
        ("a.aiff", "PCM_24", 3e-7),
        ("a.rf64", "PCM_24", 3e-7),
        ("a.w64", "PCM_24", 3e-7),
        ("a.flac", "PCM_16", 5e-5),
        ("a.flac", "PCM_24", 3e-7),
    ],
)
def test_lossless_files_are_read_to_the_last_sample(tmp_path: Path, name: str, subtype: str, error: float) -> None:
    sound = tune(0.7)
    soundfile.write(tmp_path / name, sound.T, 44_100, subtype=subtype)
    with open_audio(tmp_path / name) as reader:
        assert (reader.rate, reader.channels, reader.info.samples) == (44_100, 2, sound.shape[1])
        blocks = list(reader.blocks(1_000))
    assert {block.shape[1] for block in blocks[:-1]} == {1_000}
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), sound, atol=error)


@pytest.mark.parametrize(("name", "rate"), [("a.mp3", 44_100), ("a.ogg", 44_100), ("b.opus", 48_000)])
def test_lossy_files_keep_length_and_time(tmp_path: Path, name: str, rate: int) -> None:
    sound = tune(2.3, rate)
    subtype = "OPUS" if name.endswith("opus") else None
    soundfile.write(tmp_path / name, sound.T, rate, format="OGG" if subtype else None, subtype=subtype)
    read, read_rate = read_audio(tmp_path / name)
    assert read.shape == sound.shape
    assert read_rate == rate
    assert lag(sound, read) == 0


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "aac"), ("a.mp4", "aac"), ("a.m4a", "alac"), ("a.mp3", "libmp3lame"), ("a.mka", "flac")],
)
def test_files_of_ffmpeg_keep_length_and_time(tmp_path: Path, name: str, codec: str) -> None:
    sound = tune(2.3)
    read, rate = read_audio(encode(tmp_path / name, codec, sound, 44_100))
    assert rate == 44_100
    # mp4 writes its length in milliseconds, so the sample count is known to half of one.
    assert abs(read.shape[1] - sound.shape[1]) <= (45 if codec == "aac" else 0)
    assert lag(sound, read) == 0


def test_a_gap_in_the_times_of_an_mp4_is_silence_as_players_play_it(tmp_path: Path) -> None:
    sound = tune(2.3)
    path = encode(tmp_path / "a.mp4", "aac", sound, 44_100, gap=0.5)
    read, _ = read_audio(path)
    at = sound.shape[1] // 2 // 1024 * 1024 + 1024
    assert abs(read.shape[1] - sound.shape[1] - 22_050) <= 45
    assert lag(sound[:, : at - 1024], read[:, : at - 1024]) == lag(sound[:, at:], read[:, at + 22_050 :]) == 0
    assert np.abs(read[:, at + 2_048 : at + 20_000]).max() < 1e-3
    with open_audio(path) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks(777)), axis=1), read)


@pytest.mark.skipif(sys.platform != "linux", reason="only here is a name any bytes")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_name_that_is_not_utf_8(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / (os.fsdecode(b"caf\xe9") + suffix)
    soundfile.write(tmp_path / f"a{suffix}", tune(0.3).T, 44_100)
    os.rename(tmp_path / f"a{suffix}", path)
    assert read_audio(path)[0].shape == (2, 13_230)


def test_a_name_with_a_colon_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path / "Re: Stacks.m4a", "aac", tune(0.3), 44_100)
    monkeypatch.chdir(tmp_path)
    assert probe(Path("Re: Stacks.m4a")).rate == 44_100


@pytest.mark.parametrize("size", [1, 777, 4_096, 100_000])
def test_block_sizes_do_not_change_what_is_read(tmp_path: Path, size: int) -> None:
    path = encode(tmp_path / "a.m4a", "aac", tune(0.3), 44_100)
    whole, _ = read_audio(path)
    with open_audio(path) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks(size)), axis=1), whole)


@pytest.mark.parametrize("rate", [8_000, 22_050, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_rates_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    soundfile.write(tmp_path / "a.wav", tune(0.05, rate, channels).T, rate)
    info = probe(tmp_path / "a.wav")
    assert (info.rate, info.channels, info.samples) == (rate, channels, round(0.05 * rate))


def test_a_single_sample_is_a_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), 44_100)
    sound, _ = read_audio(tmp_path / "a.wav")
    assert sound.tolist() == [[0.5]]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x80000000, 0x80000000 - 2, 0x7FFFF000])  # FFmpeg, arecord, and SoX
def test_wav_of_unknown_size_as_pipes_write_it(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tune(0.1).T, 44_100)
    raw = bytearray(path.read_bytes())
    raw[4:8], raw[40:44] = struct.pack("<I", min(size + 36, 0xFFFFFFFF)), struct.pack("<I", size)
    path.write_bytes(raw)
    assert read_audio(path)[0].shape == (2, 4_410)


@pytest.mark.parametrize("seconds", [0.05, 1.0, 3.3])
def test_flac_of_unknown_length_as_pipes_write_it(tmp_path: Path, seconds: float) -> None:
    path, sound = tmp_path / "a.flac", tune(seconds)
    soundfile.write(path, sound.T, 44_100, "PCM_24")
    raw = bytearray(path.read_bytes())
    raw[21] &= 0xF0  # the header's number of samples, 36 bits
    raw[22:26] = bytes(4)
    path.write_bytes(raw)
    read = read_audio(path)[0]
    assert read.shape == sound.shape and np.abs(read - sound).max() < 3e-7


def test_an_mp3_without_a_length_in_its_header_is_read_to_its_end(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", "libmp3lame", tune(3), 44_100)
    raw = path.read_bytes()
    start = raw.index(b"\xff\xfb", raw.index(b"Info") + 4)  # the second frame: what a cutter leaves
    path.write_bytes(raw[start:])
    assert read_audio(path)[0].shape[1] >= 3 * 44_100


def test_an_ogg_stream_without_end_mark_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, tune(5).T, 44_100)
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.rindex(b"OggS")])  # a recording that was stopped between two pages
    assert 44_100 < read_audio(path)[0].shape[1] < 5 * 44_100


def test_hours_are_read_in_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(8_000), 8_000, subtype="PCM_16")
    seconds = 4 * 3_600
    raw = bytearray(path.read_bytes()[:44])
    raw[4:8], raw[40:44] = struct.pack("<I", 36 + seconds * 16_000), struct.pack("<I", seconds * 16_000)
    path.write_bytes(raw)
    os.truncate(path, 44 + seconds * 16_000)  # sparse: silence that takes no room
    with open_audio(path) as reader:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(block.shape[1] for block in reader.blocks()) == seconds * 8_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB, of the 461 MB decoded


def refusal(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_missing_empty_folder_and_not_sound(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "no.wav")
    (tmp_path / "empty.wav").touch()
    assert "empty (0 bytes)" in refusal(tmp_path / "empty.wav")
    assert "is a folder" in refusal(tmp_path)
    for name in ("text.wav", "text.mp3", "text.m4a", "text.raw"):
        (tmp_path / name).write_text("This is no sound at all. " * 400)
        assert "not a sound file" in (text := refusal(tmp_path / name)) or "no sound in it" in text


def test_a_film_without_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    assert "no sound" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac", "a.mp3", "a.ogg", "a.m4a"])
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_a_file_cut_off_is_refused(tmp_path: Path, name: str, part: float) -> None:
    path = tmp_path / name
    if name == "a.m4a":
        encode(path, "aac", tune(5), 44_100)
    else:
        soundfile.write(path, tune(5).T, 44_100)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * part)])
    text = refusal(path)
    assert "cut off" in text or (name == "a.m4a" and "not a sound file" in text)


def test_a_header_without_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), 44_100)
    assert "no samples" in refusal(tmp_path / "a.wav")


def patched_wav(path: Path, channels: int, rate: int) -> Path:
    """A wav file whose header claims ``channels`` and ``rate``."""
    data = b"\0" * 4_800
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def test_channels_and_rates_out_of_range(tmp_path: Path) -> None:
    assert "0 channels" in refusal(patched_wav(tmp_path / "a.wav", 0, 44_100))
    assert "12 channels" in refusal(patched_wav(tmp_path / "b.wav", 12, 44_100))
    assert "4000 Hz" in refusal(patched_wav(tmp_path / "c.wav", 2, 4_000))
    assert "384000 Hz" in refusal(patched_wav(tmp_path / "d.wav", 2, 384_000))


def test_unreadable_bytes_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, tune(3).T, 44_100)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
    path.write_bytes(raw)
    assert "damaged" in refusal(path) or "cut off" in refusal(path)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One small good file of every kind, as bytes."""
    folder, sound = tmp_path_factory.mktemp("whole"), tune(0.15)
    for name in ("a.wav", "a.aiff", "a.flac", "a.ogg", "a.rf64"):
        soundfile.write(folder / name, sound.T, 44_100)
    for name, codec in (("a.m4a", "aac"), ("a.mp3", "libmp3lame")):
        encode(folder / name, codec, sound, 44_100)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_bytes_never_raise_anything_but_audio_errors(
    tmp_path: Path, whole_files: dict[str, bytes], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(whole_files)))
    raw = bytearray(whole_files[name][: data.draw(st.integers(1, len(whole_files[name])))])
    for _ in range(data.draw(st.integers(0, 6))):
        # Headers matter most, so most flips go there.
        raw[data.draw(st.integers(0, min(len(raw), 200) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(raw)
    try:
        sound, _ = read_audio(tmp_path / name)
    except AudioError as error:
        assert "\n" not in str(error)
    else:
        assert 1 <= sound.shape[0] <= 8
        assert sound.shape[1] >= 1
