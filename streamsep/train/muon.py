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
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            # Every matrix by itself takes a GPU's host longer than the GPU.
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateUsage]
            by_shape: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for p, moved in zip(params, self._momenta(params, group["momentum"]), strict=True):
                by_shape[p.shape].append((p, moved))
            for shape, pairs in by_shape.items():
                found = orthogonalize(torch.stack([moved for _, moved in pairs]).to(self.dtype))
                updates = list(found.to(pairs[0][0].dtype).unbind())
                scale = 0.2 * max(shape) ** 0.5
                torch._foreach_add_([p for p, _ in pairs], updates, alpha=-group["lr"] * scale)  # pyright: ignore[reportPrivateUsage]

    def _momenta(self, params: list[nn.Parameter], momentum: float) -> list[Tensor]:
        grads = [p.grad for p in params if p.grad is not None]
        for p in params:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        kept = [self.state[p]["momentum"] for p in params]
        torch._foreach_lerp_(kept, grads, 1 - momentum)  # pyright: ignore[reportPrivateUsage]
        return list(torch._foreach_lerp(grads, kept, momentum))  # pyright: ignore[reportPrivateUsage]


def split_parameters(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices of ``nn.Linear`` layers, everything else that is trained): for Muon and for AdamW."""
    linear = [f"{name}.weight".lstrip(".") for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    matrices = [p for name, p in module.named_parameters() if name in linear and p.requires_grad]
    known = {id(p) for p in matrices}
    return matrices, [p for p in module.parameters() if p.requires_grad and id(p) not in known]
