"""Exponential moving average of a module's parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EMA:
    """Keeps ``decay``-averaged copies; the decay warms up as (1 + n) / (10 + n) so that early steps do not linger."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = [(self.shadow[name], p.detach()) for name, p in module.named_parameters()]
        torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)  # pyright: ignore[reportPrivateUsage]

    @torch.no_grad()
    def swap(self, module: nn.Module) -> None:
        """Exchange the module's parameters with the averages. Call again to undo."""
        for name, p in module.named_parameters():
            kept = p.detach().clone()
            p.copy_(self.shadow[name])
            self.shadow[name].copy_(kept)

    def state_dict(self) -> dict[str, Tensor | int]:
        return {"updates": self.updates, **self.shadow}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        for name, value in state.items():
            if name == "updates":
                self.updates = int(value)
            elif name in self.shadow and isinstance(value, Tensor):
                self.shadow[name].copy_(value)
