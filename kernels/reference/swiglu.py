"""SwiGLU gate. Knows the formula only.

    y = silu(gate) · up

with silu(z) = z / (1 + exp(-z)).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from kernels.reference.case import Case, Cost


def swiglu(gate_up: Tensor) -> Tensor:
    """Gated activation (Shazeer, 2020).

    Args:
        gate_up: ``[..., 2·M]``: the gate, then the values it opens.

    Returns ``[..., M]``.
    """
    gate, up = gate_up.chunk(2, dim=-1)
    return functional.silu(gate) * up


def cases() -> list[Case]:
    return [Case("step", {"rows": 1, "dim": 512}), Case("train", {"rows": 2048, "dim": 512})]


def cost(rows: int, dim: int) -> Cost:
    return Cost(flops=6 * rows * dim, bytes=4 * 3 * rows * dim)
