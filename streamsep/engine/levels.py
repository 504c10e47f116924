"""How much is computed for a frame. Knows names; who is given which is the scheduler's business."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """The steps in which a stream gives way when time is short.

    FULL: as asked for. LIGHT: of the mask render the guide head alone, several times as fast, the language model
    pauses; of the codec render the semantic tokens alone. DRY: the net stands still and `other` is the mixture.
    """

    FULL = 0
    LIGHT = 1
    DRY = 2
