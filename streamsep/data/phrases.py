"""Recorded voices as material: which clips are sung, spoken or single notes, and pieces cut from them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import istft, stft

from streamsep.config import SAMPLE_RATE
from streamsep.data.bank import Bank, Clip
from streamsep.data.theory import Key
from streamsep.data.track import faded, levelled

Sound = NDArray[np.float32]

_TONICS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_KEY_IN_NAME = re.compile(r"(?:^|_)([a-g])(b|s|#|sharp|flat)?_?(minor|major|min|maj|m)(?:_|$)")
_SEARCH_BLOCK = 4_800  # samples: the grain of finding where a long recording is silent


@dataclass(frozen=True)
class Voices:
    """A bank's voices. ``singers`` are single notes with a pitch, by singer; ``long`` are whole vocal stems."""

    phrases: dict[str, list[Clip]]
    singers: dict[str, list[Clip]]
    speech: list[Clip]
    long: list[Clip]


def voices_of(bank: Bank | None) -> Voices:
    """Sort the bank's vocal clips. Band-limited speech is left out: it would teach that voices end at 8 kHz."""
    phrases: dict[str, list[Clip]] = defaultdict(list)
    singers: dict[str, list[Clip]] = defaultdict(list)
    speech: list[Clip] = []
    for clip in bank.of("vocals") if bank else []:
        names = f"{clip.instrument} {clip.articulation}"
        if "bandlimited" in names:
            continue
        if "speech" in names:
            speech.append(clip)
        elif "phrase" in names or "cappella" in names or clip.seconds > 6:
            phrases[clip.library].append(clip)
        elif clip.pitch is not None:
            singers[clip.instrument].append(clip)
    songs = [stems["vocals"] for stems in bank.songs.values() if "vocals" in stems] if bank else []
    return Voices(dict(phrases), {name: clips for name, clips in singers.items() if len(clips) > 2}, speech, songs)


def shift_into_key(clip: Clip, key: Key, wanted: float) -> float:
    """The shift nearest to ``wanted`` (semitones) that brings a phrase whose name says its key into ``key``."""
    found = _KEY_IN_NAME.search(clip.path.stem.lower())
    if found is None:
        return wanted
    tonic = _TONICS[found[1]] + {"b": -1, "flat": -1, "s": 1, "#": 1, "sharp": 1}.get(found[2] or "", 0)
    minor = found[3] in ("minor", "min", "m")
    home = key.tonic
    if minor and key.mode in ("major", "mixolydian"):
        home -= 3
    if not minor and key.mode not in ("major", "mixolydian"):
        home += 3
    exact = (home - tonic) % 12
    options = [exact - 12, exact, exact + 12, exact - 24]
    return float(min(options, key=lambda shift: abs(shift - wanted)))


def mono_piece(bank: Bank, clip: Clip, rng: Generator, seconds: float | None = None) -> Sound:
    """A clip ``[n]`` or ``[2, n]`` without silence around it; of a long one, ``seconds`` from a place that sounds."""
    sound = bank.load(clip)
    level = np.max(np.abs(sound), axis=0)
    count = len(level) // _SEARCH_BLOCK
    if count < 2 or not level.any():
        return levelled(sound[0] if sound.shape[0] == 1 else sound)
    blocks = level[: count * _SEARCH_BLOCK].reshape(count, _SEARCH_BLOCK).max(1)
    loud = np.flatnonzero(blocks > 0.06 * blocks.max())
    first, last = int(loud[0]), int(loud[-1]) + 1
    if seconds is not None and (last - first) * _SEARCH_BLOCK > seconds * SAMPLE_RATE:
        first = int(loud[int(rng.integers(len(loud)))])
        last = first + max(1, int(seconds * SAMPLE_RATE / _SEARCH_BLOCK))
    piece = sound[:, max(0, first * _SEARCH_BLOCK - 1_200) : last * _SEARCH_BLOCK + 2_400]
    piece = faded(levelled(piece), 0.005, 0.03)
    return piece[0] if piece.shape[0] == 1 else piece


def whispered(x: Sound, rng: Generator) -> Sound:
    """The same words ``[n]`` without a voice: the short-time spectrum's magnitudes, smoothed, on random phases."""
    _, _, spectrum = stft(x, nperseg=512, noverlap=384)
    size = np.abs(spectrum)
    kernel = np.ones(5) / 5
    size = np.apply_along_axis(lambda column: np.convolve(column, kernel, "same"), 0, size)
    phase = np.exp(2j * np.pi * rng.random(size.shape))
    _, out = istft(size * phase, nperseg=512, noverlap=384)
    return levelled(out[: len(x)].astype(np.float32))
