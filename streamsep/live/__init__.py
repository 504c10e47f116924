"""Live sound: a sound card in, a sound card out, the model in a process of its own between them.

    input callback ─► source ring ─► model process ─► results ring ─┐
                          └────────── aligned mixture ──────────────┴► mixer ─► output callback

Importing this package loads neither torch nor PortAudio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsep.live.separator import LiveSeparator

__all__ = ["LiveSeparator"]


def __getattr__(name: str) -> Any:
    if name == "LiveSeparator":
        from streamsep.live.separator import LiveSeparator

        return LiveSeparator
    raise AttributeError(f"module 'streamsep.live' has no attribute '{name}'")
