"""How many streams fit into so much memory. Knows bytes; allocates nothing."""

from __future__ import annotations

from dataclasses import dataclass

from streamsep.choices import MASK
from streamsep.engine.parts import Parts
from streamsep.engine.settings import Settings
from streamsep.errors import CapacityError
from streamsep.lm.pages import Pages, page_bytes, ring_pages
from streamsep.model.net import Net


@dataclass(frozen=True)
class Footprint:
    """Bytes that streams of one net take: ``slot`` for a place, taken or not, ``page`` for a page, ``ring`` pages for
    every stream that is not parked. The weights, and what a step needs in passing, come on top.
    """

    slot: int
    page: int
    ring: int

    @staticmethod
    def of(net: Net, render: str = MASK) -> Footprint:
        # Tensors of the device `meta` have sizes and no memory.
        pages = Pages(net.config.lm, 0, "meta")
        state = Parts(net, Settings(render)).init_state(1, pages, "meta")
        dense = sum(tensor.nbytes for _, tensor in state.named_tensors())
        return Footprint(dense, page_bytes(net.config.lm), ring_pages(net.config.lm))

    @property
    def stream(self) -> int:
        return self.slot + self.ring * self.page

    def streams(self, budget: int) -> int:
        """How many fit into ``budget`` bytes. Raises CapacityError when not even one does."""
        count = (budget - self.page) // self.stream  # the page that is nobody's
        if count < 1:
            raise CapacityError(
                f"a stream takes {(self.stream + self.page) / 1e6:.1f} MB and the budget is {budget / 1e6:.1f} MB; "
                "give the engine more memory."
            )
        return count

    def pages(self, budget: int, slots: int) -> int:
        """Pages that ``budget`` bytes hold beside ``slots`` places, at most as many as these can take. Raises
        CapacityError when they are not enough for one stream.
        """
        count = (budget - slots * self.slot) // self.page - 1
        if count < self.ring:
            raise CapacityError(
                f"{slots} places take {slots * self.slot / 1e6:.1f} MB of {budget / 1e6:.1f} MB, which leaves no room "
                "for a stream; give the engine more memory or fewer places."
            )
        return min(count, slots * self.ring)
