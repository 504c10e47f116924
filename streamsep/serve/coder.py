"""Sound between a connection and its session: as it is, or through Opus. Knows messages; knows no sockets.

A coder belongs to one connection: a client that comes back finds a new stream of packets at the right sample.
"""

from __future__ import annotations

from streamsep.protocol import (
    OPUS,
    Audio,
    Flush,
    Hello,
    Mark,
    Message,
    OpusReader,
    OpusWriter,
    Packet,
    Stems,
    decode_samples,
    encode_samples,
)
from streamsep.protocol.samples import RAW
from streamsep.serve.outbox import Chunk, Item
from streamsep.serve.session import Session


class Coder:
    """``heard``: a client's audio as the session takes it. ``told``: the messages that an item becomes."""

    def __init__(self, hello: Hello, session: Session) -> None:
        self._session, self._channels = session, hello.channels
        self._opus = hello.format == OPUS
        self._reader = OpusReader(hello.channels)
        self._writers: dict[str, OpusWriter] = {}

    def heard(self, message: Audio) -> Audio:
        """Raises ProtocolError for what is no packet."""
        if not self._opus:
            return message
        sound = self._reader.read(message.data, message.count)
        return Audio(message.seq, message.position, encode_samples(sound, RAW))

    def told(self, item: Item) -> list[Message]:
        if isinstance(item, Chunk):
            if not self._opus:
                return [self._stems(item.position, item.count, dict(item.data))]
            return self._encode(item)
        if isinstance(item, (Mark, Flush)):  # everything before it must be out
            return [*self._drain(), item]
        return [item]

    def _encode(self, chunk: Chunk) -> list[Message]:
        drained = self._drain() if set(chunk.data) != set(self._writers) else []
        if not self._writers:
            self._writers = {name: OpusWriter(self._channels) for name in chunk.data}
        sounds = {name: decode_samples(data, RAW, self._channels) for name, data in chunk.data.items()}
        packets = {name: writer.push(chunk.position, sounds[name]) for name, writer in self._writers.items()}
        return [*drained, *self._together(packets)]

    def _drain(self) -> list[Message]:
        packets = {name: writer.drain() for name, writer in self._writers.items()}
        self._writers = {}
        return self._together(packets)

    def _together(self, packets: dict[str, list[Packet]]) -> list[Message]:
        """The writers were given the same positions, so their packets begin and end at the same ones."""
        rows = zip(*packets.values(), strict=True)
        return [
            self._stems(row[0].position, row[0].count, {name: p.data for name, p in zip(packets, row, strict=True)})
            for row in rows
        ]

    def _stems(self, position: int, count: int, data: dict[str, bytes]) -> Stems:
        session = self._session
        session.seq += 1
        return Stems(session.seq - 1, position, count, data, session.outbox.dropped)
