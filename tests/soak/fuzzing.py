"""Messages that break the protocol in every way: bytes out of the shared vectors, and values out of hypothesis."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import msgpack
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from streamsep.protocol import KINDS, Audio, Flush, Mark, Set, Stats, encode
from streamsep.protocol.messages import fields_of
from tests.protocol import vectors

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


def valid() -> list[bytes]:
    """Every message of the shared vectors."""
    return [bytes.fromhex(vector["hex"]) for vector in vectors.load()["messages"]]


def odd(count: int, seed: int) -> list[bytes]:
    """``count`` maps of known kinds with any value in any field, and random bytes."""
    found: list[bytes] = []

    @hypothesis_seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(KINDS)), st.data(), st.binary(max_size=60))
    def make(name: str, draw: st.DataObject, noise: bytes) -> None:
        raw: dict[str, Any] = {"kind": name}
        for field in fields_of(KINDS[name]):
            if draw.draw(st.booleans()):
                raw[field] = draw.draw(ANYTHING)
        found.append(msgpack.packb(raw, unicode_errors="surrogatepass"))
        found.append(noise)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make()
    return found


def messages(pool: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """For ever: messages of the pool as they are, cut, changed, joined; and right ones at wrong moments."""
    while True:
        data = rng.choice(pool)
        choice = rng.random()
        if choice < 0.15:
            yield _misplaced(rng)
        elif choice < 0.3:
            yield data
        elif choice < 0.45:
            yield data[: rng.randrange(len(data) + 1)]
        elif choice < 0.9 and data:
            changed = bytearray(data)
            for _ in range(rng.randint(1, 4)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            yield bytes(changed)
        else:
            yield data + rng.choice(pool)


def _misplaced(rng: random.Random) -> bytes:
    """A message that is right by itself."""
    somewhere = rng.choice([0, 1, rng.randrange(1 << 20), (1 << 53) - 1])
    return encode(
        rng.choice(
            [
                Audio(0, somewhere, bytes(8 * rng.randrange(2_000))),
                Audio(0, 0, bytes(rng.randrange(100))),
                Mark(rng.randrange(1 << 32)),
                Flush(),
                Stats(),
                Set(position=somewhere, lookahead=rng.choice([-1, 0, 1, 2]), solo=("vocals",)),
                Set(stems=("mix", "drums"), gains={"bass": rng.uniform(0, 8)}),
            ]
        )
    )
