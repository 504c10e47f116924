"""How a session begins: wishes in, a session out. Knows what may be wished for and what it means."""

from __future__ import annotations

from collections.abc import Sequence

from clients.python.errors import ClientError
from clients.python.session import Notice, Session
from streamsep.protocol import VERSION, Hello, ProtocolError


async def connect(
    url: str,
    rate: int,
    channels: int,
    *,
    stems: Sequence[str] = ("vocals", "drums", "bass", "other"),
    format: str = "f32le",
    lookahead: int = 0,
    render: str = "mask",
    live: bool = True,
    token: str | None = None,
    name: str = "python",
    patience: float = 60.0,
    notice: Notice = lambda text: None,
) -> Session:
    """Begin a session.

    Args:
        format: ``f32le`` is exact, ``s16le`` half as much, ``opus`` (at 48 kHz) a tenth of it and not exact.
        live: sound that cannot wait; else nothing is ever dropped, and ``send`` waits for the server.
        patience: seconds for which a lost connection is tried again, and new ones may end before they bring stems.
        notice: told in a sentence what happens to the connection.

    Raises ServerError when the server says no, ClientError when there is none.
    """
    try:
        hello = Hello(VERSION, rate, channels, format, tuple(stems), lookahead, render, live, token, client=name)
    except ProtocolError as error:
        raise ClientError(str(error)) from None
    session = Session(url, hello, patience, notice)
    await session.start()
    return session
