"""One connection to a server, from hello to the last message. Knows sockets and formats; knows no journal, no retries.

Positions here are those of the server's session.
"""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from clients.python.errors import ClientError, ServerError
from streamsep.protocol import (
    MAX_MESSAGE,
    OPUS,
    Audio,
    Bye,
    Error,
    Hello,
    Message,
    OpusReader,
    OpusWriter,
    Packet,
    ProtocolError,
    Ready,
    Stems,
    decode,
    decode_samples,
    encode,
    raw_format,
)

Samples = NDArray[np.float32]


class Wire:
    """``tell`` and ``hear`` messages; ``sound`` and ``samples`` are what is in them, whatever the format."""

    def __init__(self, socket: ClientConnection, hello: Hello) -> None:
        self._socket, self._hello = socket, hello
        self._seq = 0
        self._opus = hello.format == OPUS
        self._writer = OpusWriter(hello.channels)
        self._readers: dict[str, OpusReader] = {}

    @classmethod
    async def open(cls, url: str, hello: Hello) -> tuple[Wire, Ready]:
        """Connect and say hello. Raises ServerError when the server says no, ClientError when there is none."""
        try:
            socket = await open_socket(
                url, compression=None, max_size=MAX_MESSAGE, ping_timeout=60, close_timeout=2, open_timeout=10
            )
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError, ValueError) as error:
            raise ClientError(f"no server at {url}: {error}.") from error
        wire = cls(socket, hello)
        try:
            return wire, await wire._greeted(url)
        except BaseException:
            wire.abort()
            raise

    async def tell(self, message: Message) -> None:
        await self._socket.send(encode(message))

    async def hear(self) -> Message:
        data = await self._socket.recv()
        return decode(data.encode() if isinstance(data, str) else data)

    async def sound(self, position: int, data: bytes) -> None:
        """Mixture from ``position`` on, in the session's raw format; of Opus, all packets that are ready."""
        if not self._opus:
            await self._audio(position, data)
            return
        sound = decode_samples(data, raw_format(OPUS), self._hello.channels)
        await self._packets(self._writer.push(position, sound))

    async def drain(self) -> None:
        """Send what of the sound waits for its packet to be full: something is asked that follows it."""
        await self._packets(self._writer.drain())

    def samples(self, stems: Stems) -> dict[str, Samples]:
        """Output → [channels, count]. Raises ProtocolError for what is no sound."""
        if not self._opus:
            hello = self._hello
            return {name: decode_samples(data, hello.format, hello.channels) for name, data in stems.data.items()}
        out: dict[str, Samples] = {}
        for name, data in stems.data.items():
            reader = self._readers.setdefault(name, OpusReader(self._hello.channels))
            out[name] = reader.read(data, stems.count)
        return out

    def abort(self) -> None:
        """Break the connection as a bad network would."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """Say goodbye, unless the connection is lost already."""
        with contextlib.suppress(ConnectionClosed):
            await self.tell(Bye("done"))
        await self._socket.close()

    async def _greeted(self, url: str) -> Ready:
        try:
            async with asyncio.timeout(10):
                await self.tell(self._hello)
                answer = await self.hear()
        except (ConnectionClosed, TimeoutError, ProtocolError) as error:
            raise ClientError(f"{url} does not answer like a streamsep server: {error}.") from error
        if isinstance(answer, Error):
            raise ServerError(answer)
        if not isinstance(answer, Ready):
            raise ClientError(f"{url} answered '{answer.kind}' instead of 'ready'.")
        return answer

    async def _packets(self, packets: list[Packet]) -> None:
        for packet in packets:
            await self._audio(packet.position, packet.data, packet.count)

    async def _audio(self, position: int, data: bytes, count: int | None = None) -> None:
        self._seq += 1
        await self.tell(Audio(self._seq - 1, position, data, count))
