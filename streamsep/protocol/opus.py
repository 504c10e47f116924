"""Samples ↔ Opus packets that keep their positions. Knows one stream of packets; knows no messages. Needs PyAV.

An encoder gives its sound out late by a few samples (its pre-skip). A stream therefore begins with a packet of which
nothing counts, whose end is the beginning of the sound; of each packet after it the first ``count`` samples count:

    sound         [ 0 … 311 | 312 … 1271 | 1272 … ]
    encoder  [ silence, 0 … 311 | 312 … 1271 | …      in:  packets of 960
    decoder  [ dropped          | 0 … 959    | …      out: counts 0, 960, 960, …, and less for the last
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.protocol.checks import ProtocolError

Samples = NDArray[np.float32]

OPUS_RATE = 48_000
PACKET = 960  # samples: 20 ms
LONGEST = 5_760  # samples that a packet can hold: 120 ms
_BITRATE = 64_000  # of a channel
_LAYOUTS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class Packet:
    """The first ``count`` samples of what ``data`` decodes to begin at ``position``; 0: a new stream begins."""

    position: int
    count: int
    data: bytes


class OpusWriter:
    """``push`` sound, ``drain`` at its end; each gives the packets that are ready."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._encoder: Any = None
        self._waiting = np.zeros((channels, 0), np.float32)
        self._given = self._end = 0  # positions: of the next packet, and past the last sample pushed
        self._begun = False  # whether the packet of which nothing counts is out

    def push(self, position: int, sound: Samples) -> list[Packet]:
        """``sound`` [channels, n] from ``position`` on; where that is not the next one, a new stream begins."""
        packets = self.drain() if self._encoder is not None and position != self._end else []
        if self._encoder is None:
            self._encoder, skip = _encoder(self._channels)
            self._waiting = np.zeros((self._channels, PACKET - skip), np.float32)
            self._given, self._end, self._begun = position, position, False
        self._waiting = np.concatenate([self._waiting, sound], axis=1)
        self._end += sound.shape[1]
        return [*packets, *self._encode()]

    def drain(self) -> list[Packet]:
        """Packets up to the last sample; the next sound begins a new stream."""
        if self._encoder is None:
            return []
        packets: list[Packet] = []
        while self._given < self._end:
            missing = -self._waiting.shape[1] % PACKET or PACKET
            self._waiting = np.pad(self._waiting, ((0, 0), (0, missing)))
            packets += self._encode()
        self._encoder = None
        return packets

    def _encode(self) -> Iterator[Packet]:
        while self._waiting.shape[1] >= PACKET:
            part, self._waiting = self._waiting[:, :PACKET], self._waiting[:, PACKET:]
            count = min(PACKET, self._end - self._given) if self._begun else 0
            self._begun = True
            yield Packet(self._given, count, _encoded(self._encoder, part))
            self._given += count


class OpusReader:
    """Packets in their order, sound out."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._decoder: Any = None

    def read(self, data: bytes, count: int | None = None) -> Samples:
        """The first ``count`` samples of a packet, [channels, count]; all of them when None.

        Raises ProtocolError for what is no packet, or is shorter than ``count``.
        """
        if count == 0 or self._decoder is None:
            self._decoder = _decoder(self._channels)
        sound = _decoded(self._decoder, data, self._channels)
        count = sound.shape[1] if count is None else count
        if count > sound.shape[1]:
            raise ProtocolError("bad_audio", f"the packet has {sound.shape[1]} samples, not {count}.")
        return sound[:, :count]


def _encoder(channels: int) -> tuple[Any, int]:
    """An encoder and its pre-skip."""
    import av

    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format, encoder.layout = OPUS_RATE, "flt", _LAYOUTS[channels]
    encoder.bit_rate = _BITRATE * channels
    encoder.options = {"application": "audio", "frame_duration": "20"}
    encoder.open()
    return encoder, int.from_bytes(encoder.extradata[10:12], "little")  # RFC 7845, 5.1


def _decoder(channels: int) -> Any:
    import av

    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = OPUS_RATE, _LAYOUTS[channels]
    decoder.open()
    return decoder


def _encoded(encoder: Any, sound: Samples) -> bytes:
    import av

    flat = np.ascontiguousarray(np.clip(np.nan_to_num(sound), -1, 1).T.reshape(1, -1), np.float32)
    frame = av.AudioFrame.from_ndarray(flat, format="flt", layout=_LAYOUTS[len(sound)])
    frame.sample_rate = OPUS_RATE
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


def _decoded(decoder: Any, data: bytes, channels: int) -> Samples:
    import av

    if not data:
        raise ProtocolError("bad_audio", "an Opus packet has at least one byte.")
    try:
        frames = [frame.to_ndarray() for frame in decoder.decode(av.Packet(data))]
    except (av.FFmpegError, ValueError):
        raise ProtocolError("bad_audio", f"these {len(data)} bytes are no Opus packet.") from None
    if not frames or sum(frame.size for frame in frames) > LONGEST * channels:
        raise ProtocolError("bad_audio", f"these {len(data)} bytes are no Opus packet.")
    flat = np.concatenate(frames, axis=1)
    return np.ascontiguousarray(flat.reshape(-1, channels).T.astype(np.float32) / np.float32(1 << 15))
