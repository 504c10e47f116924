"""Gain, mute and solo of every stem, presets, and their smoothing. Knows decibels; knows nothing of where stems are."""

from __future__ import annotations

import difflib
import math

import numpy as np
from numpy.typing import NDArray

from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import OptionError

Sound = NDArray[np.float32]
MAX_DB = 12.0
MIN_DB = -80.0  # at and below it a stem is off
_SMOOTHING = 0.010  # seconds: time constant of the one-pole
_SETTLED = 1e-5

_SILENT = -math.inf
PRESETS: dict[str, dict[str, float]] = {
    "karaoke": {"vocals": _SILENT},
    "acapella": {"drums": _SILENT, "bass": _SILENT, "other": _SILENT},
    "drumless": {"drums": _SILENT},
    "bassless": {"bass": _SILENT},
    "practice-vocals": {"vocals": 0.0, "drums": -9.0, "bass": -9.0, "other": -9.0},
    "practice-drums": {"drums": 3.0, "vocals": -9.0, "bass": -6.0, "other": -9.0},
    "practice-bass": {"bass": 3.0, "vocals": -9.0, "drums": -6.0, "other": -9.0},
    "rhythm": {"vocals": _SILENT, "other": _SILENT},
    "all": {},
}


class Gains:
    """The faders. Any thread may turn them; ``Smoother`` follows in the audio callback.

    ``gain`` in dB, −80 and less is off, at most +12. ``dry_wet`` 0 … 1. ``chosen``: the last preset. Raises
    OptionError for an unknown stem or preset, or a value out of range.
    """

    def __init__(self, preset: str = "karaoke") -> None:
        self.gain = dict.fromkeys(STEMS, 0.0)
        self.mute = dict.fromkeys(STEMS, False)
        self.solo = dict.fromkeys(STEMS, False)
        self.dry_wet = 1.0
        self.preset(preset)

    def preset(self, name: str) -> None:
        """All faders as ``name`` says; mutes and solos are lifted."""
        if name not in PRESETS:
            raise OptionError(f"unknown preset '{name}'; choose one of {', '.join(PRESETS)}{_meant(name, PRESETS)}.")
        self.chosen = name
        for stem in STEMS:
            self.gain[stem] = PRESETS[name].get(stem, 0.0)
            self.mute[stem] = self.solo[stem] = False

    def set_gain(self, stem: str, db: float) -> None:
        check_stem(stem)
        if math.isnan(db) or db > MAX_DB:
            raise OptionError(f"a gain of {db:g} dB for {stem} is out of range; give -inf to {MAX_DB:g} dB.")
        self.gain[stem] = db if db > MIN_DB else -math.inf

    def step_gain(self, stem: str, db: float) -> None:
        """Up or down by ``db`` within the range; from off, up means −40 dB."""
        now = self.gain[stem]
        if now == -math.inf:
            self.gain[stem] = -40.0 if db > 0 else now
        else:
            self.set_gain(stem, min(MAX_DB, now + db))

    def set_mute(self, stem: str, on: bool) -> None:
        check_stem(stem)
        self.mute[stem] = on

    def set_solo(self, stem: str, on: bool) -> None:
        check_stem(stem)
        self.solo[stem] = on

    def set_dry_wet(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise OptionError(f"a dry/wet of {value:g} is out of range; give 0 (dry) to 1 (separated).")
        self.dry_wet = value

    def factors(self) -> NDArray[np.float64]:
        """``[stems + 3]``: factor of every stem, then of them together, of the mixture, and of it in a gap."""
        solo = any(self.solo.values())
        stems = [
            0.0 if self.mute[stem] or (solo and not self.solo[stem]) else 10 ** (self.gain[stem] / 20) for stem in STEMS
        ]
        return np.array([*stems, self.dry_wet, 1 - self.dry_wet, self._in_a_gap(stems)])

    def _in_a_gap(self, stems: list[float]) -> float:
        """The mixture stands in for the stems that are missing, except for a single one: that one is silent."""
        heard = [factor for factor in stems if factor > 0]
        if len(heard) < 2:
            return 1 - self.dry_wet
        return min(1.0, max(heard)) * self.dry_wet + (1 - self.dry_wet)


class Smoother:
    """One-pole smoothing of ``Gains.factors``, a value for every sample."""

    def __init__(self, gains: Gains) -> None:
        self._gains = gains
        self._now = gains.factors()
        self._decay = math.exp(-1 / (_SMOOTHING * SAMPLE_RATE))

    def next(self, count: int) -> Sound:
        """``[stems + 3, count]`` float32."""
        target = self._gains.factors()
        offset = self._now - target
        if np.abs(offset).max() < _SETTLED:
            self._now = target
            return np.repeat(target[:, None], count, axis=1).astype(np.float32)
        curve = target[:, None] + offset[:, None] * self._decay ** np.arange(1, count + 1)
        if count:
            self._now = curve[:, -1].copy()
        return curve.astype(np.float32)


def check_stem(stem: str) -> None:
    if stem not in STEMS:
        raise OptionError(f"unknown stem '{stem}'; choose among {', '.join(STEMS)}.")


def parse_gain(text: str) -> tuple[str, float]:
    """``"vocals=-inf"`` or ``"bass=+3"`` → stem and dB. Raises OptionError."""
    stem, equals, value = text.partition("=")
    try:
        db = float(value.strip().lower().removesuffix("db"))
    except ValueError:
        db = math.nan
    if not equals or math.isnan(db):
        raise OptionError(f"'{text}' is no gain; write a stem and decibels, such as vocals=-inf or bass=3.")
    stem = stem.strip().lower()
    check_stem(stem)
    return stem, db


def _meant(name: str, known: dict[str, dict[str, float]]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""
