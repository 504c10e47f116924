"""streamsep itself: everything on, four stems, mask render, stereo."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

import streamsep
from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.engine.stream import Stream
from tests.bench.peers.peer import Built, Live, Sound, parameters


class Ours:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def push(self, block: Sound) -> Sound:
        return np.sum([*self._stream.push(block).values()], axis=0)


def build(lookahead: float) -> Built:
    separator = streamsep.load(threads=torch.get_num_threads())
    net = separator.net
    make = lambda: Ours(separator.stream(SAMPLE_RATE, 2, int(lookahead)))  # noqa: E731

    def counted() -> None:
        """Plain torch: the counter does not see into compiled kernels."""
        net.select_kernels("cpu", "reference")
        make().push(np.zeros((2, FRAME), np.float32))
        net.select_kernels("cpu")

    # The counter's step leaves the compiled kernels as they were.
    used = [net.lm, net.trunk, net.pool, net.fuse, net.codec.semantic.decoder]
    count = sum(parameters(cast(torch.nn.Module, part)) for part in used)
    return Built(cast("type[Live]", make), FRAME if lookahead >= 0 else FRAME // 4, count, False, counted, FRAME)
