"""Sound and marks of a step's rows between the host and its device. Knows rows and slots; computes nothing.

What a GPU copies by itself must lie in pinned memory. Torch keeps such memory once made, and lends it out again only
when the GPU has read it: nothing is made anew, and nobody waits, after the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Sound = NDArray[np.float32]


def gathered(
    blocks: Mapping[int, Sound], group: Sequence[int], first: int, stop: int, shape: tuple[int, int], pin: bool
) -> Tensor:
    """[stop - first, *shape], on the host: the blocks of the slots in ``group``, zeros in the rows of others."""
    out = torch.empty(stop - first, *shape, pin_memory=pin)
    rows = out.numpy()
    if len(group) < len(rows):
        rows.fill(0)
    for slot in group:
        rows[slot - first] = blocks[slot]
    return out


def marked(groups: Sequence[Sequence[int]], first: int, stop: int, pin: bool) -> Tensor:
    """[groups, stop - first] bool, on the host: which rows are in each of ``groups``."""
    out = torch.zeros(len(groups), stop - first, dtype=torch.bool, pin_memory=pin)
    rows = out.numpy()
    for row, group in zip(rows, groups, strict=True):
        row[np.asarray(group, np.int64) - first] = True
    return out


def to_host(*tensors: Tensor | None) -> list[NDArray | None]:
    """As arrays; what is on a GPU is copied all at once and waited for once."""
    kept = [x if x is None or not x.is_cuda else _leaving(x) for x in tensors]
    for device in {x.device for x in tensors if x is not None and x.is_cuda}:
        torch.cuda.current_stream(device).synchronize()
    return [None if x is None else x.numpy() for x in kept]


def _leaving(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, pin_memory=True).copy_(x, non_blocking=True)
