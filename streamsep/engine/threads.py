"""How many threads a frame is computed with. Knows the libraries' switches, not what they compute.

The products of a frame are small. Shared among threads they gain little, and a thread that has to be woken on a busy
core makes the frame late: 20 to 80 ms were measured beside another job, for torch's products and for numpy's, which the
resamplers use.
"""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits

from streamsep.errors import OptionError


def use_threads(count: int) -> None:
    """Let torch and numpy's BLAS use ``count`` threads in the whole process. Raises OptionError below one."""
    if count < 1:
        raise OptionError(f"{count} threads leave nobody to work; give 1 or more.")
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")
