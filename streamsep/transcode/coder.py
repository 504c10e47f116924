"""What every codec offers to files: an encoder and a decoder that take blocks. Knows no codec itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamsep.transcode.tokens import TokenFormat

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Chunk:
    """Some tokens: ``codes`` [n, Q] uint16, ``levels`` [n] uint8."""

    codes: NDArray[np.uint16]
    levels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.codes)


class Encoder(Protocol):
    """Sound at the codec's rate in, tokens out."""

    format: TokenFormat

    def push(self, block: Sound) -> Chunk:
        """``block`` [channels, n], any n → the tokens that can be told by now."""
        ...

    def flush(self) -> Chunk:
        """The rest, as if silence followed."""
        ...


class Decoder(Protocol):
    """Tokens in, sound at the codec's rate out: from the first sample on, without delay, somewhat more at the end."""

    def push(self, chunk: Chunk) -> Sound:
        """Tokens, any number → the sound [channels, m] that can be told by now."""
        ...

    def flush(self) -> Sound: ...


class Coder(Protocol):
    """A codec, ready to use."""

    rate: int

    def coded_channels(self, channels: int) -> int:
        """How many channels are coded of a file with ``channels``. Raises OptionError for too many."""
        ...

    def encoder(self, channels: int, codebooks: int | None = None) -> Encoder:
        """``codebooks`` to write, all when None. Raises OptionError for an impossible number."""
        ...

    def decoder(self, format: TokenFormat) -> Decoder:
        """Raises OptionError for tokens of another codec."""
        ...


def join(chunks: list[Chunk], codebooks: int) -> Chunk:
    """All of them as one."""
    none = Chunk(np.zeros((0, codebooks), np.uint16), np.zeros(0, np.uint8))
    chunks = chunks or [none]
    return Chunk(np.concatenate([c.codes for c in chunks]), np.concatenate([c.levels for c in chunks]))


def to_layout(block: Sound, channels: int) -> Sound:
    """[c, n] → [channels, n]: the same, or the mean of all for one channel."""
    return block if block.shape[0] == channels else block.mean(0, keepdims=True, dtype=np.float32)
