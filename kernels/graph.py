"""Many launches recorded as one. Knows CUDA's graphs; knows nothing of what is recorded."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

T = TypeVar("T")
_REHEARSALS = 2  # kernels are compiled and constants made in the first; the second shows that nothing is left to make


def record(call: Callable[[], T], pool: Any = None) -> tuple[torch.cuda.CUDAGraph, T]:
    """A graph of ``call`` and what it returned, which every replay writes over. Raises RuntimeError when ``call`` asks
    the host for something.

    Graphs of one ``pool`` (``torch.cuda.graph_pool_handle``), of which one runs at a time, share what they need in
    passing.
    """
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_REHEARSALS):
            call()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with _no_collection(), torch.cuda.graph(graph, pool):
        out = call()
    return graph, out


@contextmanager
def _no_collection() -> Iterator[None]:
    """A graph that nobody needs any more, destroyed by the garbage collection, breaks one that is being recorded."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
