"""Ogg streams one after another: every sample of every one."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from streamsep.audio.files import probe, read_audio
from streamsep.errors import AudioError
from tests.sounds import tune


def ogg(path: Path, *parts: NDArray[np.float32], rate: int = 48_000, codec: str = "VORBIS") -> bytes:
    """Streams one after another; each at a quality, and so with tables, of its own."""
    for number, part in enumerate(parts):
        one = path.with_name(f"{number}.ogg")
        level = number / len(parts)
        soundfile.write(one, part.T, rate, format="OGG", subtype=codec, compression_level=level)
        with path.open("ab") as file:
            file.write(one.read_bytes())
    return path.read_bytes()


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_ogg_streams_one_after_another_are_read_to_the_last_sample(tmp_path: Path, codec: str) -> None:
    sound = tune(1.5, 48_000)
    ogg(tmp_path / "a.ogg", sound[:, :30_000], sound[:, 30_000:31_000], sound[:, 31_000:], codec=codec)
    read, _ = read_audio(tmp_path / "a.ogg")
    assert probe(tmp_path / "a.ogg").samples == read.shape[1] == sound.shape[1]
    assert np.sqrt(np.mean((read - sound) ** 2)) < 0.1 * np.sqrt(np.mean(sound**2))


def test_ogg_streams_of_one_number_are_read_to_the_last_sample(tmp_path: Path) -> None:
    (tmp_path / "a.ogg").write_bytes(2 * ogg(tmp_path / "b.ogg", tune(0.5, 48_000)))
    assert read_audio(tmp_path / "a.ogg")[0].shape == (2, 48_000)


def test_ogg_streams_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    first, second = ogg(tmp_path / "a.ogg", tune(0.5, 48_000)), ogg(tmp_path / "b.ogg", tune(0.5, 44_100), rate=44_100)
    (tmp_path / "c.ogg").write_bytes(first + second)
    with pytest.raises(AudioError, match="changes its rate or channels on the way"):
        probe(tmp_path / "c.ogg")
    broken = bytearray(2 * first)
    broken[len(first) + 28 : len(first) + 58] = bytes(30)  # what the second stream says of itself
    (tmp_path / "d.ogg").write_bytes(broken)
    with pytest.raises(AudioError, match="2 streams one after another, and number 2 cannot be decoded"):
        probe(tmp_path / "d.ogg")


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_an_ogg_stream_that_had_only_begun_is_no_loss(tmp_path: Path, codec: str) -> None:
    first = ogg(tmp_path / "a.ogg", tune(0.5, 48_000), codec=codec)
    second = first.index(b"OggS", 4)
    head = first[: first.index(b"OggS", second + 4)]
    for name, file in (("last", first + head), ("between", first + head + first)):
        (tmp_path / f"{name}.ogg").write_bytes(file)
    assert read_audio(tmp_path / "last.ogg")[0].shape == (2, 24_000)
    assert read_audio(tmp_path / "between.ogg")[0].shape == (2, 48_000)


def test_ogg_streams_of_flac_are_read_as_ever(tmp_path: Path) -> None:
    sound = tune(0.5, 48_000)
    with av.open(str(tmp_path / "a.ogg"), "w", format="ogg") as container:
        stream = container.add_stream("flac", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray((sound * 32_000).astype(np.int16), format="s16p", layout="stereo")
        frame.rate, frame.pts = 48_000, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    (tmp_path / "b.ogg").write_bytes(2 * (tmp_path / "a.ogg").read_bytes())
    assert read_audio(tmp_path / "b.ogg")[0].shape == (2, 48_000)
