"""Who owns which page. Knows owners and page ids; what is in a page is not its business.

Pages are taken when a stream comes and given back when it goes: between the two nobody asks for one, so that no stream
that was admitted can run out of memory.
"""

from __future__ import annotations

from collections.abc import Hashable

from streamsep.errors import CapacityError
from streamsep.lm.pages import NOBODY, Pages


class PagePool:
    """The pages of ``pages``, each with at most one owner."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self._free = list(range(pages.count, NOBODY, -1))
        self._owned: dict[Hashable, list[int]] = {}

    @property
    def free(self) -> int:
        return len(self._free)

    def owned(self, owner: Hashable) -> list[int]:
        """Pages of ``owner``, in the order of its ring; none of an unknown one."""
        return list(self._owned.get(owner, ()))

    def take(self, owner: Hashable) -> list[int]:
        """A ring of pages for a new owner, and nothing of it taken when it cannot be had whole: CapacityError."""
        if owner in self._owned:
            raise ValueError(f"{owner} has its pages")
        need = self.pages.ring
        if need > self.free:
            raise CapacityError(
                f"a stream needs {need} pages and {self.free} of {self.pages.count} are free; end or park another one, "
                "or give the engine more memory."
            )
        self._owned[owner] = [self._free.pop() for _ in range(need)]
        return self.owned(owner)

    def give_back(self, owner: Hashable) -> None:
        """What ``owner`` had is free; nothing happens when it had none."""
        pages = self._owned.pop(owner, [])
        self._free.extend(reversed(pages))
        self.pages.freed(pages)

    def wipe(self, owner: Hashable) -> None:
        """``owner`` begins anew in the same pages."""
        self.pages.freed(self._owned.get(owner, []))
