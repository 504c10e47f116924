"""How state flows: explicit, named, slot first. Knows nothing of audio or models."""

from streamsep.streaming.module import StreamModule
from streamsep.streaming.state import State

__all__ = ["State", "StreamModule"]
