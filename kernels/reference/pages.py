"""Ring block tables over a pool of pages. Knows positions and page ids; knows nothing of keys, values or slots' owners.

A slot owns R pages; position p of its stream lies in page ``table[slot, p // page mod R]``, row ``p mod page``. With
pages of 4 rows and R = 3, after position 13 was written (`x` = gone, `.` = not written yet):

    table column        0              1              2
    positions       12 13  x  x     4  5  6  7     8  9 10 11

So a stream of days keeps its R pages and never asks for another.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ring_pages(window: int, page: int, chunk: int = 1) -> int:
    """Pages that a slot needs for a window while ``chunk`` rows at once are appended."""
    return -(-(window + chunk - 1) // page)


def check_ring(table: Tensor, page: int, window: int, chunk: int) -> None:
    """Raises ValueError when appending ``chunk`` rows would overwrite rows that the first of them still sees."""
    if (need := ring_pages(window, page, chunk)) > table.shape[1]:
        raise ValueError(
            f"a ring of {table.shape[1]} pages of {page} rows is too short for a window of {window} and {chunk} new "
            f"rows at once: give it {need} pages, or fewer rows at once."
        )


def locate(table: Tensor, at: Tensor, page: int) -> tuple[Tensor, Tensor]:
    """Positions ``at`` ``[B, N]`` → page ids and rows in them, both ``[B, N]`` int64. Negative positions give row 0."""
    at = at.clamp_min(0)
    return table.long().gather(1, at // page % table.shape[1]).clamp_min(0), at % page


def live_rows(length: Tensor, rows: int) -> Tensor:
    """Which of ``rows`` rows of each slot count, ``[B, rows]`` bool, from how many do, ``[B]``."""
    return torch.arange(rows, device=length.device) < length.unsqueeze(1)
