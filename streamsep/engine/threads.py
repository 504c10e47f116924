"""How many threads a frame is computed with. Knows the libraries' switches, not what they compute.

The products of a frame are small. Shared among threads they gain little, and a thread that has to be woken on a busy
core makes the frame late: 20 to 80 ms were measured beside another job, for torch's products and for numpy's, which the
resamplers use.
"""

from __future__ import annotations

import torch


def use_threads(count: int) -> None:
    """Let torch, and numpy's BLAS where threadpoolctl is installed, use ``count`` threads in the whole process."""
    torch.set_num_threads(count)
    try:
        from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    threadpool_limits(count, user_api="blas")
