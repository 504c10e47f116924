"""Names that an option may have, and the sentence that refuses others. Loaded by --help, so without torch."""

from __future__ import annotations

from collections.abc import Collection

from streamsep.config import LOOKAHEADS
from streamsep.errors import OptionError

DEVICES: tuple[str, ...] = ("cpu", "cuda")
MASK, CODEC = "mask", "codec"
RENDERS: tuple[str, ...] = (MASK, CODEC)
GUIDE, FUSED = "guide", "fused"
DECODES: tuple[str, ...] = ("hard", "soft", GUIDE, FUSED)


def check_choice(what: str, value: str, known: Collection[str]) -> None:
    """Raise OptionError when ``value``, say 'tpu', is not one of the ``known`` names of a ``what``, say 'device'."""
    if value not in known:
        raise OptionError(f"unknown {what} '{value}'; choose one of {', '.join(known)}.")


def check_lookahead(value: int) -> None:
    """Raise OptionError when ``value`` is not in ``LOOKAHEADS``."""
    if value not in LOOKAHEADS:
        choices = ", ".join(str(k) for k in LOOKAHEADS)
        raise OptionError(f"unknown lookahead {value}; choose one of {choices} (frames of 40 ms).")
