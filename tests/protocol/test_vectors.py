"""The shared vectors mean what they say, in both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamsep.protocol import (
    KINDS,
    VERSION,
    ProtocolError,
    Unknown,
    decode,
    decode_samples,
    encode,
    encode_samples,
)
from streamsep.protocol.messages import to_map
from tests.protocol import vectors

VECTORS = vectors.load()


def named(part: str) -> Any:
    return pytest.mark.parametrize("vector", VECTORS[part], ids=lambda vector: vector.get("name", vector.get("format")))


@named("messages")
def test_bytes_and_meaning(vector: dict[str, Any]) -> None:
    message = decode(bytes.fromhex(vector["hex"]))
    assert vectors.to_json(to_map(message)) == vector["message"]
    meaning = vectors.from_json(vector["message"])
    assert encode(KINDS[meaning.pop("kind")](**meaning)).hex() == vector["hex"]


@named("ignored")
def test_unknown_kinds_are_no_error(vector: dict[str, Any]) -> None:
    assert isinstance(decode(bytes.fromhex(vector["hex"])), Unknown)


@named("refused")
def test_what_breaks_the_protocol(vector: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as error:
        decode(bytes.fromhex(vector["hex"]))
    assert error.value.code == vector["code"]
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


@named("samples")
def test_samples(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    sound = decode_samples(data, vector["format"], vector["channels"])
    assert np.array_equal(sound, np.array(vector["samples"], np.float32))
    assert encode_samples(sound, vector["format"]) == data


def test_every_kind_has_a_vector() -> None:
    assert {vector["message"]["kind"] for vector in VECTORS["messages"]} == set(KINDS)
    assert VECTORS["version"] == VERSION
