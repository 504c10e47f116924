"""Whatever the bytes: a message, or one ProtocolError."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep.protocol import KINDS, Message, ProtocolError, decode, decode_samples, encode, encode_samples
from streamsep.protocol.messages import fields_of
from tests.protocol import vectors

VALID = [bytes.fromhex(vector["hex"]) for vector in vectors.load()["messages"]]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


def check(data: bytes) -> None:
    try:
        message = decode(data)
    except ProtocolError as error:
        assert error.code in ("bad_message", "version")
        assert str(error).endswith(".") and len(str(error)) < 400
        return
    assert isinstance(message, Message)
    if message.kind in KINDS:
        assert decode(encode(message)) == message


@given(st.binary(max_size=300))
@settings(max_examples=500, deadline=None)
def test_random_bytes(data: bytes) -> None:
    check(data)


@given(st.sampled_from(VALID), st.data())
@settings(max_examples=500, deadline=None)
def test_mutated_messages(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        changed[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    check(bytes(changed))


@given(st.sampled_from(sorted(KINDS)), st.data())
@settings(max_examples=500, deadline=None)
def test_any_value_in_any_field(name: str, draw: st.DataObject) -> None:
    raw: dict[str, Any] = {"kind": name}
    for field in fields_of(KINDS[name]):
        if draw.draw(st.booleans()):
            raw[field] = draw.draw(ANYTHING)
    check(msgpack.packb(raw, unicode_errors="surrogatepass"))


@pytest.mark.parametrize("data", VALID, ids=range(len(VALID)))
def test_every_truncation(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(ProtocolError):
            decode(data[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 100_000,  # depth
        b"\xdf\xff\xff\xff\xff",  # a map that says it has 2^32 - 1 entries
        b"\xc6\xff\xff\xff\xff" + b"x" * 100,  # bytes that are not there
        b"\xd6\xff" + struct.pack(">I", 1),  # a timestamp
        b"\x81\xa4kind\xc1",
        b"\x81\x01\x02",
        b"\x81\xa4kind\xa1\xff",  # no UTF-8
    ],
    ids=["depth", "giant map", "giant bytes", "timestamp", "reserved", "number as key", "text"],
)
def test_what_parsers_stumble_over(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


def test_messages_check_themselves_when_made() -> None:
    for kind, fields in (("ping", {"id": -1}), ("ack", {"position": 1 << 60}), ("bye", {"reason": "x" * 201})):
        with pytest.raises(ProtocolError, match=f"'{kind}"):
            KINDS[kind](**fields)


def test_samples_round_and_clip() -> None:
    sound = np.array([[0.1, 2.0, -2.0, np.nan, 1e-9]], np.float32)
    back = decode_samples(encode_samples(sound, "s16le"), "s16le", 1)
    assert np.array_equal(back[0], np.array([3277, 32767, -32768, 0, 0], np.float32) / 32768)
    with pytest.raises(ProtocolError, match="whole number"):
        decode_samples(b"123", "s16le", 1)


def test_a_message_cannot_be_changed() -> None:
    message = decode(VALID[[vector["name"] for vector in vectors.load()["messages"]].index("set, fader and mute")])
    with pytest.raises(AttributeError):
        message.position = 3  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        message.gains["vocals"] = 2.0  # pyright: ignore[reportAttributeAccessIssue]
