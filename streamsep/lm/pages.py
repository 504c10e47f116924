"""Keys and values of many streams in one pool of pages. Knows layers and page ids; who owns a page is not its business.

A page holds ``rows`` consecutive frames of one stream, for all layers. The pages of a stream form a ring that is just
its window, so a stream of days needs no more of them than one of minutes. Page 0 belongs to nobody: it is what the
tables of slots without a stream point at.
"""

from __future__ import annotations

import torch
from torch import Tensor

from streamsep.config import LMConfig
from streamsep.streaming import State

MOST_ROWS = 16
NOBODY = 0  # the page that is never given out


def page_rows(window: int) -> int:
    """Rows of a page: as many as divide the window, at most ``MOST_ROWS``."""
    return max(rows for rows in range(1, min(window, MOST_ROWS) + 1) if window % rows == 0)


def ring_pages(config: LMConfig) -> int:
    """Pages that a stream needs."""
    return config.window // page_rows(config.window)


def page_bytes(config: LMConfig) -> int:
    """Memory of a page: keys and values, float32, of all layers."""
    return 2 * 4 * config.layers * page_rows(config.window) * config.kv_heads * (config.dim // config.heads)


class Pages:
    """``count`` pages that can be given out, and page 0.

    ``poison``: fill pages that nobody owns with NaN, so that whoever reads one is found out; for tests.
    """

    def __init__(self, config: LMConfig, count: int, device: torch.device | str = "cpu", poison: bool = False) -> None:
        self.rows, self.ring, self.count, self._poison = page_rows(config.window), ring_pages(config), count, poison
        shape = (config.layers, count + 1, self.rows, config.kv_heads, config.dim // config.heads)
        self._keys, self._values = (torch.zeros(shape, device=device) for _ in range(2))
        self.freed(list(range(count + 1)))

    def keys(self, layer: int) -> Tensor:
        """``[pages, rows, kv_heads, head_dim]``."""
        return self._keys[layer]

    def values(self, layer: int) -> Tensor:
        return self._values[layer]

    def freed(self, pages: list[int]) -> None:
        """Nobody owns ``pages`` any more."""
        if self._poison:
            self._keys[:, pages] = self._values[:, pages] = torch.nan

    def gather(self, pages: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        """Keys and values ``[layers, W, kv_heads, head_dim]`` of a stream with ``rows`` rows written, else zeros."""
        out = self._keys[:, pages].flatten(1, 2), self._values[:, pages].flatten(1, 2)
        for ring in out:
            ring[:, rows:] = 0
        return out

    def scatter(self, pages: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write what ``gather`` gave into other pages."""
        self._keys[:, pages] = keys.unflatten(1, (self.ring, self.rows))
        self._values[:, pages] = values.unflatten(1, (self.ring, self.rows))


class PagedState(State):
    """State of a temporal transformer over pages: ``position`` ``[slots]``, and ``table`` ``[slots, ring]`` page ids.

    The table is not a part of the stream: a reset leaves it, and a saved slot can be loaded into other pages.
    """

    def __init__(self, slots: int, pages: Pages, table: Tensor | None = None) -> None:
        super().__init__(slots)
        self.pages = pages
        device = pages.keys(0).device
        self.table = torch.full((slots, pages.ring), NOBODY, device=device) if table is None else table

    def narrow(self, start: int, stop: int) -> State:
        return self._narrowed(PagedState(stop - start, self.pages, self.table[start:stop]), start, stop)

    def save(self, slot: int) -> dict[str, Tensor]:
        saved = super().save(slot)
        written = min(int(saved["position"]), self.pages.ring * self.pages.rows)
        saved["keys"], saved["values"] = self.pages.gather(self.table[slot], written)
        return saved

    def load(self, slot: int, saved: dict[str, Tensor]) -> None:
        super().load(slot, saved)
        self.pages.scatter(self.table[slot], saved["keys"], saved["values"])
