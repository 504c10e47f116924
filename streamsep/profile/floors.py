"""What a stage cannot be faster than: its weights, read once, at the bandwidth of this machine. Knows modules."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from streamsep.model.net import Net

_TRIES = 15


def stage_bytes(net: Net) -> dict[str, int]:
    """Bytes of the weights that one frame of one stream reads in each stage that has any, with the mask render."""
    lm = net.lm
    semantic = net.config.codec.semantic_codebooks
    tables = lm.tables.vectors[:semantic]
    depth = _bytes(lm.depth.parameters()) - _size(lm.depth.tied_head)
    zoom = net.trunk.encoder.zoom
    return {
        "features": _bytes([*net.trunk.encoder.embed.parameters(), *(zoom.parameters() if zoom is not None else ())]),
        "condition": _bytes(
            [
                *net.trunk.encoder.conformer.parameters(),
                *net.trunk.encoder.merge.parameters(),
                *net.trunk.guide.parameters(),
                *net.pool.parameters(),
            ]
        ),
        "temporal": _bytes([*lm.temporal.parameters(), *lm.embedding.parameters()]),
        "depth": depth + _size(tables),
        "decode": _bytes([*net.codec.semantic.decoder.parameters(), *net.fuse.parameters()]),
    }


def read_bandwidth(size: int, threads: int) -> float:
    """Bytes a second at which ``size`` bytes are read over and over, with ``threads`` threads: the best of some tries.

    As much as the weights of a frame: what of it stays in a cache does so here, too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        half = torch.ones(max(1, size // 8))
        other = torch.ones_like(half)
        best = float("inf")
        for _ in range(_TRIES):
            begin = time.perf_counter()
            torch.dot(half, other)
            best = min(best, time.perf_counter() - begin)
    finally:
        torch.set_num_threads(before)
    return 8 * half.numel() / best


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(_size(tensor) for tensor in tensors)


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
