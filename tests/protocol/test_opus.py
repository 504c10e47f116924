"""Opus packets keep the positions of the samples."""

from __future__ import annotations

import numpy as np
import pytest

from streamsep.protocol import Hello, OpusReader, OpusWriter, Packet, ProtocolError
from tests.sounds import tune


def snr(sound: np.ndarray, reference: np.ndarray) -> float:
    """dB."""
    return float(10 * np.log10(np.sum(reference**2) / np.sum((sound - reference) ** 2)))


def decoded(packets: list[Packet], channels: int) -> np.ndarray:
    reader = OpusReader(channels)
    return np.concatenate([reader.read(packet.data, packet.count) for packet in packets], axis=1)


def smooth(seconds: float, channels: int) -> np.ndarray:
    """Without the noise that no coder keeps."""
    time = np.arange(round(48_000 * seconds)) / 48_000
    tones = [np.sin(2 * np.pi * f * time * (1 + 0.01 * time)) for f in (110, 523, 1_200)]
    return np.stack([0.2 * sum(tones) * (1 - 0.3 * c) for c in range(channels)]).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("block", [100, 960, 1_920, 50_000])
def test_positions_are_exact_whatever_the_blocks(channels: int, block: int) -> None:
    sound, writer = smooth(0.5, channels), OpusWriter(channels)
    packets: list[Packet] = []
    for start in range(0, sound.shape[1], block):
        packets += writer.push(7 + start, sound[:, start : start + block])
    packets += writer.drain()
    assert (packets[0].position, packets[0].count) == (7, 0)
    position = 7
    for packet in packets:
        assert packet.position == position and 0 <= packet.count <= 960
        position += packet.count
    assert position == 7 + sound.shape[1]
    back = decoded(packets, channels)
    errors = [np.mean((np.roll(back, shift, 1) - sound)[:, 2_000:-2_000] ** 2) for shift in range(-3, 4)]
    assert back.shape == sound.shape and int(np.argmin(errors)) == 3
    assert snr(back[:, 2_000:], sound[:, 2_000:]) > 15


def test_a_gap_begins_a_new_stream() -> None:
    writer, sound = OpusWriter(1), smooth(0.1, 1)
    packets = writer.push(0, sound) + writer.push(10_000, sound) + writer.drain()
    begun = [packet.position for packet in packets if packet.count == 0]
    assert begun == [0, 10_000]
    assert sum(packet.count for packet in packets) == 2 * sound.shape[1]
    assert writer.drain() == []


@pytest.mark.parametrize("data", [b"", b"\xff" * 7, b"\x03", bytes(2_000)])
def test_what_is_no_packet(data: bytes) -> None:
    reader = OpusReader(2)
    try:
        sound = reader.read(data)
    except ProtocolError as error:
        assert error.code == "bad_audio"
    else:
        assert sound.shape[1] <= 5_760
    good = OpusWriter(2).push(0, tune(0.1, 48_000))
    assert reader.read(good[0].data, 0).shape == (2, 0) and reader.read(good[1].data).shape == (2, 960)


def test_a_packet_that_is_too_short() -> None:
    with pytest.raises(ProtocolError, match="960 samples, not 2000"):
        OpusReader(1).read(OpusWriter(1).push(0, smooth(0.1, 1))[1].data, 2_000)


def test_opus_is_spoken_at_48_khz() -> None:
    Hello(1, 48_000, 2, format="opus")
    with pytest.raises(ProtocolError, match=r"hello\.rate"):
        Hello(1, 44_100, 2, format="opus")
