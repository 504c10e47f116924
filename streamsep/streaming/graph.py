"""A step whose kernels are launched as one: recorded as a CUDA graph, replayed ever after. Knows tensors, no models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from kernels.graph import record

T = TypeVar("T")


class Static(Generic[T]):
    """``function`` on input buffers that never move; on a GPU a graph, elsewhere an ordinary call.

    A graph can hold what asks the host for nothing: no number is read from a tensor, nothing is copied from the host,
    and what is remembered is changed in place. Rehearsals run on zeros, so ``function`` must leave its state alone when
    its inputs, an ``active`` mask among them, are zero. ``pool``: see ``kernels.graph.record``.
    """

    def __init__(self, function: Callable[..., T], like: Sequence[Tensor], pool: Any = None) -> None:
        self._function = function
        self._inputs = tuple(torch.zeros_like(x) for x in like)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._outputs: T | None = None
        if self._inputs[0].is_cuda:
            self._graph, self._outputs = record(lambda: self._function(*self._inputs), pool)

    def __call__(self, *inputs: Tensor) -> T:
        """What ``function`` returns; on a GPU the next call writes over it."""
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given, non_blocking=True)
        return self._run()

    def idle(self) -> None:
        """A call on zeros, whose result nobody wants."""
        for kept in self._inputs:
            kept.zero_()
        self._run()

    def _run(self) -> T:
        if self._graph is None:
            return self._function(*self._inputs)
        self._graph.replay()
        assert self._outputs is not None
        return self._outputs
