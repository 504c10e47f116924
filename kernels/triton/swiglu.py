"""SwiGLU gate in Triton. Contract and formula: `kernels.reference.swiglu`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.triton.launch import check

_BLOCK = 1024


def swiglu(gate_up: Tensor) -> Tensor:
    """As :func:`kernels.reference.swiglu`; no gradients. Raises TypeError for other precisions."""
    check("swiglu", (gate_up,))
    rows = gate_up.contiguous()
    half = rows.shape[-1] // 2
    y = torch.empty(*rows.shape[:-1], half, dtype=rows.dtype, device=rows.device)
    _gate[(triton.cdiv(y.numel(), _BLOCK),)](rows, y, y.numel(), half, BLOCK=_BLOCK)
    return y


@triton.jit
def _gate(
    x_ptr: tl.tensor,  # [M, 2·H]
    y_ptr: tl.tensor,  # [M, H]
    total: tl.tensor,
    half: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < total
    at = n // half * (2 * half) + n % half
    gate = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x_ptr + at + half, mask=inside, other=0.0).to(tl.float32)
    y = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(y_ptr + n, y.to(y_ptr.dtype.element_ty), mask=inside)
