"""Attacks, each a coroutine on a server's address: what is wrong with the answer in a few words, else nothing.

attack(url, hello) → "" when the server told or closed the attacker as it must
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from streamsep.protocol import Bye, Error, Hello, Ready, encode
from streamsep.protocol.messages import MAX_AUDIO
from tests.serve.running import greet, raw, refusal

Attack = Callable[[str, Hello], Awaitable[str]]


async def wrong_token(url: str, hello: Hello) -> str:
    code, error = await refusal(url, replace(hello, token=(hello.token or "") + "?"))
    return "" if (code, error.code) == (1_008, "auth") else f"{code} {error}"


async def replayed_key(url: str, hello: Hello) -> str:
    """The key of a session works once."""
    async with raw(url) as first:
        await first.send(hello)
        ready = await first.receive()
        if isinstance(ready, Error):
            return "" if ready.code == "full" else str(ready)
        assert isinstance(ready, Ready)
        async with raw(url) as second:
            await greet(second, replace(hello, resume=ready.resume))
            code, error = await refusal(url, replace(hello, resume=ready.resume))
            await second.send(Bye())
            await second.closed()
    return "" if (code, error.code) == (4_000, "resume") else f"{code} {error}"


async def guessed_key(url: str, hello: Hello) -> str:
    code, error = await refusal(url, replace(hello, resume="A" * 32))
    return "" if (code, error.code) == (4_000, "resume") else f"{code} {error}"


async def giant_message(url: str, hello: Hello) -> str:
    """A frame that says it is 8 MB long: closed before it is read."""
    return await _closed(url, hello, _frame(2, bytes(2 * MAX_AUDIO)), 1_009)


async def endless_pieces(url: str, hello: Hello) -> str:
    """A message in pieces, none too long, together without end."""
    piece = bytes(MAX_AUDIO // 4)
    pieces = [_frame(2, piece, final=False), *(_frame(0, piece, final=False) for _ in range(8))]
    return await _closed(url, hello, b"".join(pieces), 1_009)


async def compression_bomb(url: str, hello: Hello) -> str:
    """100 MB that shrink to 100 kB, sent as compressed although that was not agreed on."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(100_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    return await _closed(url, hello, _frame(0x42, bomb[:-4]), 1_002)


async def bare_frame(url: str, hello: Hello) -> str:
    """A client's frame without its mask."""
    return await _closed(url, hello, b"\x82\x04abcd", 1_002)


async def reserved_frame(url: str, hello: Hello) -> str:
    return await _closed(url, hello, _frame(0xB, b"what?"), 1_002)


async def slow_handshake(url: str, hello: Hello) -> str:
    """A request that comes letter by letter."""
    reader, writer = await _open(url)
    reading = asyncio.create_task(reader.read())
    try:
        while not reading.done():
            writer.write(b"x")
            await asyncio.sleep(0.1)
    except ConnectionError:
        pass
    writer.close()
    return ""  # it ended: the caller's timeout says when it did not


async def slow_hello(url: str, hello: Hello) -> str:
    """A hello that comes byte by byte."""
    reader, writer = await _handshake(url)
    return await _drip(reader, writer, _frame(2, encode(replace(hello, client="x" * 80))))


async def slow_message(url: str, hello: Hello) -> str:
    """A megabyte that comes byte by byte after a right hello."""
    reader, writer = await _handshake(url)
    writer.write(_frame(2, encode(hello)))
    return await _drip(reader, writer, _frame(2, bytes(MAX_AUDIO)))


async def ping_flood(url: str, hello: Hello) -> str:
    """64 MB of the socket's own pings, whose answers nobody reads."""
    writer = await deaf(url)
    return "" if await pinged(writer, 64) else "all of them were answered"


async def deaf_guest(url: str, hello: Hello) -> str:
    """A session whose client reads nothing; the caller's timeout says when it may stay."""
    writer = await deaf(url, encode(hello))
    gone = await pinged(writer, 8)
    while not gone:
        await asyncio.sleep(0.1)
        gone = await pinged(writer, 0)
    return ""


async def many_doors(url: str, hello: Hello) -> str:
    """Two hundred connections that say nothing: each is closed."""
    opened = await asyncio.gather(*(_open(url) for _ in range(200)), return_exceptions=True)
    pairs = [pair for pair in opened if not isinstance(pair, BaseException)]
    await asyncio.gather(*(reader.read() for reader, _ in pairs), return_exceptions=True)
    for _, writer in pairs:
        writer.close()
    return ""


ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        wrong_token,
        guessed_key,
        replayed_key,
        giant_message,
        endless_pieces,
        compression_bomb,
        bare_frame,
        reserved_frame,
        slow_handshake,
        slow_hello,
        slow_message,
        ping_flood,
        deaf_guest,
        many_doors,
    )
}


async def deaf(url: str, *messages: bytes) -> asyncio.StreamWriter:
    """A connection that has said ``messages`` and reads nothing but the answer to its handshake."""
    parts, plug = urlsplit(url), socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
    plug.connect((parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(sock=plug, limit=1 << 10)
    await _upgrade(url, reader, writer)
    writer.writelines(_frame(2, message) for message in messages)
    return writer


async def pinged(writer: asyncio.StreamWriter, megabytes: int) -> bool:
    """Send as many pings, one at least; whether the server has closed the connection by then."""
    ping = _frame(9, bytes(125))
    try:
        for _ in range(megabytes << 4 or 1):
            writer.write(ping * (500 if megabytes else 1))
            await writer.drain()
    except ConnectionError:
        writer.close()
        return True
    return False


def _frame(first: int, payload: bytes, final: bool = True) -> bytes:
    """A masked WebSocket frame; the mask is zero, which leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first | 0x80 * final, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first | 0x80 * final, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first | 0x80 * final, 0x80 | 127, size)
    return head + bytes(4) + payload


async def _open(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def _handshake(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await _open(url)
    await _upgrade(url, reader, writer)
    return reader, writer


async def _upgrade(url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ("GET /v1 HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Upgrade: websocket", "Connection: Upgrade")
    more = (f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", "")
    writer.write("\r\n".join((*lines, *more)).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head.splitlines()[0]:
        raise ConnectionRefusedError(head.splitlines()[0].decode())


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> str:
    """Ten bytes a second until the server closes; the caller's timeout says when it does not."""
    reading = asyncio.create_task(reader.read())
    try:
        for byte in data:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)
            if reading.done():
                break
    except ConnectionError:
        pass
    writer.close()
    return ""


async def _closed(url: str, hello: Hello, data: bytes, expected: int) -> str:
    """Send ``data`` after hello; the server's close frame must carry ``expected``."""
    reader, writer = await _handshake(url)
    writer.write(_frame(2, encode(hello)))
    heard = b""
    try:
        writer.write(data)
        await writer.drain()
    except ConnectionError:
        pass
    try:
        heard = await reader.read()
    except ConnectionError:
        return ""  # closed so fast that its reason was lost
    writer.close()
    code = struct.pack("!H", expected)
    refused = b"places are taken" in heard
    return "" if refused or b"\x88" in heard and code in heard[-200:] else f"no close code {expected}: {heard[-60:]!r}"
