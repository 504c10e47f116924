"""A trunk's forward and backward pass as CUDA graphs: thousands of small launches cost a GPU's host more than the GPU.

Knows the trunk and devices; knows nothing of losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from streamsep.model.trunk import Trunk, TrunkOutput
from streamsep.train.precision import autocast

Outputs = tuple[Tensor, Tensor, Tensor]  # of a TrunkOutput


class _Outputs(nn.Module):
    """A trunk that returns a plain tuple, as recording asks for."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, mixture: Tensor, lookahead: Tensor) -> Outputs:
        found = self.trunk(mixture, lookahead)
        return found.tokens, found.level, found.logits


class TrunkPass:
    """``trunk``, its matrix products in ``dtype``, compiled if asked for.

    On a GPU both passes are recorded at the first call that trains, and replayed for inputs of the same shapes. What
    comes with others, without gradients, or on a CPU is called as it is.
    """

    def __init__(self, trunk: Trunk, dtype: torch.dtype, compiled: bool, device: torch.device) -> None:
        self.trunk, self.dtype, self.device = trunk, dtype, device
        self._replay: Callable[[Tensor, Tensor], Outputs] | None = None
        self._shape: torch.Size | None = None
        if compiled:
            # Blocks are alike: a GPU has one compiled for all, in seconds; the rest is not worth minutes there.
            for part in trunk.encoder.conformer.blocks if device.type == "cuda" else [trunk]:
                part.compile(dynamic=False)

    def __call__(self, mixture: Tensor, lookahead: Tensor) -> TrunkOutput:
        """``mixture`` [B, T, 2, 2, 961] complex, ``lookahead`` [B]: as :meth:`Trunk.forward`."""
        if self.device.type == "cuda" and self.trunk.training and torch.is_grad_enabled():
            if self._replay is None:
                self._replay, self._shape = self._record(mixture, lookahead), mixture.shape
            if mixture.shape == self._shape:
                return TrunkOutput(*self._replay(mixture, lookahead))
        with autocast(self.dtype, self.device):
            return self.trunk(mixture, lookahead)

    def _record(self, mixture: Tensor, lookahead: Tensor) -> Callable[[Tensor, Tensor], Outputs]:
        # A cast that is kept from one call to the next would be of the weights as they were when recorded.
        with autocast(self.dtype, self.device, kept=False):
            recorded = torch.cuda.make_graphed_callables(
                _Outputs(self.trunk), (mixture.clone(), lookahead.clone()), allow_unused_input=True
            )
        return cast("Callable[[Tensor, Tensor], Outputs]", recorded)
