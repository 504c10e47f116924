"""streamsep itself: everything on, four stems, mask render, stereo."""

from __future__ import annotations

import numpy as np
import torch

import streamsep
from streamsep.config import FRAME, PREDICTIVE_HOP, SAMPLE_RATE
from streamsep.engine.stream import Stream
from tests.bench.peers.peer import Built, Live, Sound, parameters


class Ours:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def push(self, block: Sound) -> Sound:
        return np.sum([*self._stream.push(block).values()], axis=0)


def build(device: str, lookahead: float) -> Built:
    separator = streamsep.load(device=device, threads=torch.get_num_threads())
    net = separator.net

    def make() -> Live:
        return Ours(separator.stream(SAMPLE_RATE, 2, int(lookahead)))

    def counted() -> None:
        """Plain torch: the counter does not see into compiled kernels."""
        net.select_kernels(device, "reference")
        make().push(np.zeros((2, FRAME), np.float32))
        net.select_kernels(device)

    used: list[torch.nn.Module] = [net.lm, net.trunk, net.pool, net.fuse, net.codec.semantic.decoder]
    return Built(
        make=make,
        block=FRAME if lookahead >= 0 else PREDICTIVE_HOP,
        parameters=sum(parameters(part) for part in used),
        aligned=False,
        counted=counted,
        counted_samples=FRAME,
    )
