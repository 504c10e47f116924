"""Messages ↔ bytes: one msgpack map a binary WebSocket message. Knows msgpack; the messages check themselves."""

from __future__ import annotations

from typing import Any

import msgpack

from streamsep.protocol.checks import ProtocolError
from streamsep.protocol.messages import MAX_AUDIO, OUTPUTS, Message, from_map, to_map

MAX_MESSAGE = (len(OUTPUTS) + 1) * MAX_AUDIO  # bytes, of any message: a stems message with everything in it
_MOST = 64  # entries of a map or a list


def encode(message: Message) -> bytes:
    """The bytes of a message."""
    data: bytes | None = msgpack.packb(to_map(message))
    assert data is not None
    return data


def decode(data: bytes) -> Message:
    """The message in ``data``; Unknown for a kind of a later version. Raises ProtocolError, and nothing else."""
    if len(data) > MAX_MESSAGE:
        raise ProtocolError("bad_message", f"a message of {len(data)} bytes is longer than {MAX_MESSAGE}.")
    try:
        raw: Any = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=_MOST,
            max_map_len=_MOST,
            max_ext_len=0,
        )
    except Exception as error:  # msgpack raises ValueError, its own, UnicodeDecodeError, RecursionError, ...
        raise ProtocolError("bad_message", "the message is not one whole msgpack map.") from error
    if not isinstance(raw, dict):
        raise ProtocolError("bad_message", "the message is not a msgpack map.")
    return from_map(raw)
