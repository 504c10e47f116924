"""StreamModule: a module with ``forward`` for whole sequences and ``step`` for one frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamsep.streaming.state import State


class StreamModule(nn.Module):
    """Base of every causal module.

    ``forward(x)`` takes ``[B, T, ...]``; ``step(x, state, active)`` takes one frame ``[B, ...]``, advances ``state``
    for the slots where ``active`` is true and returns what ``forward`` would have returned for that frame.
    """

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        """Fresh state for ``slots`` streams. A module without memory returns an empty state."""
        return State(slots)

    def step(self, x: Tensor, state: State, active: Tensor | None = None) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no step")
