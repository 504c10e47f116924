"""Muon: momentum whose update is made orthogonal, for the matrices inside a net. Knows matrices, no schedules.

After Keller Jordan's Muon (2024), with its Newton-Schulz iteration and the scale of "Muon is scalable for LLM training"
(arXiv 2502.16982), so that the learning rate means what it means for AdamW. Unlike ``torch.optim.Muon`` it iterates in
bfloat16 only where that is asked for: it is slow on processors that do not multiply it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

_A, _B, _C = 3.4445, -4.7750, 2.0315  # quintic that pulls singular values to about one in five steps


def orthogonalize(x: Tensor, steps: int = 5) -> Tensor:
    """``[..., m, n]`` → about U·Vᵀ of its singular value decomposition U·S·Vᵀ."""
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for parameters of two axes."""

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """``dtype``: what updates are made orthogonal in."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[p.shape].append(p)
            for shape, params in by_shape.items():
                moved = torch.stack([self._momentum(p, group["momentum"]) for p in params])
                updates = orthogonalize(moved.to(self.dtype))
                scale = 0.2 * max(shape) ** 0.5
                for p, update in zip(params, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.to(p.dtype), alpha=-group["lr"] * scale)

    def _momentum(self, p: nn.Parameter, momentum: float) -> Tensor:
        assert p.grad is not None
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(state["momentum"], momentum)


def split_parameters(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices of ``nn.Linear`` layers, everything else that is trained): for Muon and for AdamW."""
    linear = [f"{name}.weight".lstrip(".") for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    matrices = [p for name, p in module.named_parameters() if name in linear and p.requires_grad]
    known = {id(p) for p in matrices}
    return matrices, [p for p in module.parameters() if p.requires_grad and id(p) not in known]
