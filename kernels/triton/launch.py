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


def tile(rows: int, outputs: int) -> tuple[int, int]:
    """Rows and outputs of a program of a product: of few rows few outputs, that more processors share the weights."""
    block_m = block(rows, most=64)
    return block_m, block(outputs, most=16 if block_m == 16 else 32)


def depth_block(x: Tensor, block_m: int) -> int:
    """How many of the last axis of ``x`` a product of ``block_m`` rows sums up at once.

    Few in float32, where that sum's rounding shows; twice as many for 16 rows, which have registers to spare and little
    to do but to wait for one block after another.
    """
    most = 32 if x.dtype == torch.float32 else 64
    return block(x.shape[-1], most=2 * most if block_m == 16 else most)


def lengths(like: Tensor, active: Tensor | None) -> Tensor:
    """How many of one new frame count in each slot, ``[B]`` as ``like``: the bytes of ``active``, ones when None."""
    return torch.ones_like(like, dtype=torch.uint8) if active is None else active.contiguous().view(torch.uint8)
