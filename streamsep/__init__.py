"""streamsep: streaming separation of music into vocals, drums, bass and other.

Importing this package is cheap: torch is loaded by the first call of :func:`load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamsep.errors import StreamsepError

if TYPE_CHECKING:
    from streamsep.engine.separator import Separator

__version__ = "0.1.0"
__all__ = ["StreamsepError", "__version__", "load"]


def load(model: str = "tiny", device: str = "cpu", **options: Any) -> Separator:
    """Load a model and return its ``Separator``.

    ``model`` is a shipped name or the path of a model folder, ``device`` is ``cpu`` or ``cuda``; ``options`` are those
    of ``streamsep.engine.separator.load`` (``render``, ``decode``). Raises StreamsepError when model or device are
    unknown.

    >>> sep = streamsep.load()
    >>> stems = sep.separate(audio, rate)  # audio [channels, samples] float32; stems: name → [channels, samples]
    """
    from streamsep.engine.separator import load as load_separator

    return load_separator(model=model, device=device, **options)
