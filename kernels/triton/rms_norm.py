"""RMSNorm in Triton, a row a program. Contract and formula: `kernels.reference.rms_norm`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.reference.rms_norm import EPS
from kernels.triton.launch import block, check


def rms_norm(x: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """As :func:`kernels.reference.rms_norm`; no gradients. Raises TypeError for other precisions."""
    check("rms_norm", (x, weight))
    rows = x.contiguous().view(-1, x.shape[-1])
    y = torch.empty_like(rows)
    _rms_norm[(len(rows),)](rows, weight.contiguous(), y, x.shape[-1], eps, BLOCK=block(x.shape[-1]))
    return y.view(x.shape)


@triton.jit
def _rms_norm(
    x_ptr: tl.tensor,  # [M, D]
    weight_ptr: tl.tensor,  # [D]
    y_ptr: tl.tensor,  # [M, D]
    dim: tl.tensor,
    eps: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * dim
    i = tl.arange(0, BLOCK)
    inside = i < dim
    x = tl.load(x_ptr + row + i, mask=inside, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + i, mask=inside, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(x * x, 0) / dim + eps)
    tl.store(y_ptr + row + i, (x * scale * weight).to(y_ptr.dtype.element_ty), mask=inside)
