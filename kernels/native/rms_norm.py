"""RMSNorm as torch's own call. Contract and formula: `kernels.reference.rms_norm`."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from kernels.reference.rms_norm import EPS


def rms_norm(x: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """As :func:`kernels.reference.rms_norm`."""
    return functional.rms_norm(x, (x.shape[-1],), weight.to(x.dtype), eps)
