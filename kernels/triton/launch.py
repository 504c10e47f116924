"""What all launches share: which tensors a Triton kernel takes, and block sizes. Knows no op."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def interpreted() -> bool:
    """Whether Triton interprets kernels on the CPU instead of compiling them."""
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0", "false")


def check(op: str, tensors: Iterable[Tensor], dtypes: tuple[torch.dtype, ...] = DTYPES) -> None:
    """Raises TypeError for tensors that the kernels of ``op`` cannot take."""
    for x in tensors:
        if x.dtype not in dtypes:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
            raise TypeError(f"{op} of triton takes {known}, not {x.dtype}")
        if x.device.type != "cuda" and not interpreted():
            raise TypeError(f"{op} of triton runs on CUDA (or under TRITON_INTERPRET=1 on a CPU), not on {x.device}")


def block(size: int, least: int = 16, most: int = 1 << 20) -> int:
    """The power of two that holds ``size``, within bounds; matrix products need 16."""
    return min(most, max(least, 1 << (max(1, size) - 1).bit_length()))


def depth_block(x: Tensor) -> int:
    """How many of the last axis of ``x`` a product sums up at once; few in float32, where that sum's rounding shows."""
    return block(x.shape[-1], most=32 if x.dtype == torch.float32 else 64)
