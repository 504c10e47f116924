"""A song to look at and to listen to: spectrogram strips and short excerpts, embedded as text. Measures nothing.

The excerpt is the eight seconds in which the most stems sound; pictures are PNG, sounds are mp3: every browser plays
them from the page itself.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import soundfile  # pyright: ignore[reportMissingTypeStubs]

from streamsep.audio.interrupts import held_interrupts
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.evaluate.metrics import ACTIVE_DBFS, Sound, level_db, windows
from streamsep.evaluate.scores import IDEAL_BANDS, Row
from streamsep.evaluate.songs import TrueStems
from streamsep.evaluate.spectral import stft

SECONDS = 8
_COLUMNS, _ROWS = 480, 96
_LOW, _HIGH = 40.0, 16_000.0  # Hz
_RANGE_DB = 70.0
_KBIT_QUALITY = 0.6  # of libsndfile's mp3: variable, some 100 kbit/s


class Exhibit:
    """Collects what is shown of one song; models' default rows and systems, not every decoding."""

    def __init__(self, song: TrueStems) -> None:
        self._part = _liveliest(song)
        self._peak = float(_power(song.mixture[:, self._part]).max()) or 1.0
        self._rows: list[dict[str, Any]] = []
        self._name, self._start = song.name, self._part.start / SAMPLE_RATE
        self._mixture = {"picture": self._picture(song.mixture), "sound": self._sound(song.mixture)}
        self.add(Row("true stems"), dict(zip(STEMS, song.stems, strict=True)))

    def add(self, row: Row, stems: Mapping[str, Sound]) -> None:
        if row.estimate in ("mixture", "hard", "soft", "guide", "ideal_bins", IDEAL_BANDS):
            return
        shown = {stem: {"picture": self._picture(sound), "sound": self._sound(sound)} for stem, sound in stems.items()}
        self._rows.append({"estimate": row.estimate, "lookahead": row.lookahead, "stems": shown})

    def to_dict(self) -> dict[str, Any]:
        return {
            "song": self._name,
            "start": round(self._start, 2),
            "seconds": SECONDS,
            "mixture": self._mixture,
            "rows": self._rows,
        }

    def _picture(self, sound: Sound) -> str:
        return strip_png(_power(sound[:, self._part]), self._peak)

    def _sound(self, sound: Sound) -> str:
        return mp3(sound[:, self._part])


def strip_png(power: Any, peak: float) -> str:
    """Power [rows, columns] → base64 of a PNG, 70 dB below ``peak`` to ``peak`` from dark to bright."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    decibels = 10 * np.log10(np.maximum(power / peak, 10 ** (-_RANGE_DB / 10)))
    image = colormaps["magma"](np.round((1 + decibels / _RANGE_DB) * 63) / 63, bytes=True)[::-1, :, :3]
    out = io.BytesIO()
    imsave(out, np.ascontiguousarray(image), format="png", pil_kwargs={"optimize": True})
    return base64.b64encode(out.getvalue()).decode("ascii")


def mp3(sound: Sound) -> str:
    """[2, n] at 48 kHz → base64 of an mp3; above full scale it is clipped."""
    out = io.BytesIO()
    with held_interrupts():
        soundfile.write(
            out,
            np.clip(sound.T, -1, 1),
            SAMPLE_RATE,
            format="MP3",
            subtype="MPEG_LAYER_III",
            compression_level=_KBIT_QUALITY,
        )
    return base64.b64encode(out.getvalue()).decode("ascii")


def _power(sound: Sound) -> Any:
    """[channels, n] → [rows of equal ratio from 40 Hz to 16 kHz, columns]."""
    size = 4_096
    mono = np.pad(sound.mean(0), (size // 2, size))
    hop = max(1, sound.shape[1] // _COLUMNS)
    spectra = stft(mono, size, hop)[:_COLUMNS]
    power = (spectra.real**2 + spectra.imag**2).T
    edges = np.geomspace(_LOW, _HIGH, _ROWS + 1) * size / SAMPLE_RATE
    low = np.floor(edges[:-1]).astype(int)
    high = np.maximum(low + 1, np.ceil(edges[1:]).astype(int))
    return np.stack([power[a:b].max(0) for a, b in zip(low, high, strict=True)])


def _liveliest(song: TrueStems) -> slice:
    """Where the most seconds of the most stems sound."""
    sounding = np.sum([level_db(windows(stem)) > ACTIVE_DBFS for stem in song.stems], axis=0)
    if len(sounding) <= SECONDS:
        return slice(0, min(song.mixture.shape[1], SECONDS * SAMPLE_RATE))
    sums = np.convolve(sounding, np.ones(SECONDS), "valid")
    start = int(np.argmax(sums)) * SAMPLE_RATE
    return slice(start, start + SECONDS * SAMPLE_RATE)
