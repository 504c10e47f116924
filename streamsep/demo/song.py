"""The demo's song: composed by the built-in synthesizers, with all four stems in it. Knows no model."""

from __future__ import annotations

from streamsep.data.compose import active_fractions
from streamsep.data.compose import compose_song as compose
from streamsep.evaluate.songs import TrueStems

_TRIES = 50
_LEAST = 0.3  # share of the song in which every stem should be heard


def compose_song(seconds: float, seed: int) -> TrueStems:
    """The first song from ``seed`` on in which every stem is heard for a while; the last one tried where none is.

    Its sounds are of the split that no recipe trains on.
    """
    song = None
    for number in range(_TRIES):
        song = compose(_TRIES * seed + number, seconds, None, "test")
        if min(active_fractions(song.stems).values()) >= _LEAST:
            break
    assert song is not None
    return TrueStems(f"composed {seed}", song.stems, song.mixture)
