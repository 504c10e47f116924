"""Everything that is measured of one estimate of one song, as JSON-ready numbers. Knows metrics; knows no model.

The families of measures, of which any can be left out: ``sdr`` (ratios over windows and songs), ``bss`` (BSS Eval 4),
``spectral`` (log-spectral distance, phase), ``leakage`` (what of one stem sounds in another), ``perceptual``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamsep.config import STEMS
from streamsep.errors import OptionError
from streamsep.evaluate.bsseval import RATIOS, BssEval
from streamsep.evaluate.leakage import correlation, leakage, residual_db
from streamsep.evaluate.metrics import (
    ABSENT_DBFS,
    WINDOW,
    Sound,
    Values,
    active,
    level_db,
    median,
    si_sdr,
    windows,
)
from streamsep.evaluate.perceptual import Judge, loudest
from streamsep.evaluate.sdr import song_si_sdr, utterance_sdr, window_sdr
from streamsep.evaluate.songs import TrueStems
from streamsep.evaluate.spectral import BAND_NAMES, phase_sums, spectral_distance, stft

FAMILIES: tuple[str, ...] = ("sdr", "bss", "spectral", "leakage", "perceptual")
PHASE = tuple(f"phase {band}" for band in BAND_NAMES)

Measures = dict[str, Any]


def parse_families(text: str) -> tuple[str, ...]:
    """``"sdr, bss"`` → ("sdr", "bss"), ``all`` → all of them. Raises OptionError for an unknown one."""
    wanted = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if wanted == ("all",):
        return FAMILIES
    for name in wanted:
        if name not in FAMILIES:
            raise OptionError(f"unknown metrics '{name}'; choose among {', '.join(FAMILIES)}, or all.")
    return wanted


class SongMeasures:
    """Measures estimates of one song, one after the other."""

    def __init__(self, song: TrueStems, families: Sequence[str], judges: Sequence[Judge] = ()) -> None:
        self._song, self._families, self._judges = song, families, judges
        mixture_db = level_db(windows(song.mixture))
        self._active: dict[str, np.ndarray[Any, np.dtype[np.bool_]]] = {}
        self._present: list[int] = []
        for index, stem in enumerate(STEMS):
            level = level_db(windows(song.stems[index]))
            self._active[stem] = active(level, mixture_db)
            if np.any(level > ABSENT_DBFS):
                self._present.append(index)
        self._bss = BssEval(song.stems[self._present]) if "bss" in families and self._present else None
        self._base = {stem: self._ratios(song.mixture, index) for index, stem in self._stems()}

    def __call__(self, estimate: Mapping[str, Sound]) -> Measures:
        """``estimate``: [2, n] at 48 kHz a stem, aligned; stems may be missing.

        Returns ``{"stems": {stem: {name: value or None}}, "leakage": …, "correlation": …, "residual_db": …}``; the
        last three only when all stems are there.
        """
        found: Measures = {"stems": {}}
        whole = all(stem in estimate for stem in STEMS)
        bss = self._bss_eval(estimate) if whole else {}
        for index, stem in self._stems():
            if stem not in estimate:
                continue
            scores: dict[str, float | None] = {}
            if "sdr" in self._families:
                scores |= self._improved(stem, self._ratios(estimate[stem], index))
            scores |= bss.get(stem, {})
            if "spectral" in self._families:
                scores |= self._spectral(estimate[stem], index)
            if "perceptual" in self._families:
                scores |= self._heard(estimate[stem], index)
            found["stems"][stem] = {name: _rounded(value) for name, value in scores.items()}
        if whole and "leakage" in self._families:
            found |= self._across(np.stack([estimate[stem] for stem in STEMS]))
        return found

    def _stems(self) -> list[tuple[int, str]]:
        """Of the stems that the song has."""
        return [(index, STEMS[index]) for index in self._present]

    def _ratios(self, estimate: Sound, index: int) -> dict[str, Values]:
        """Values a window, or one for the song, by name."""
        true = self._song.stems[index]
        where = self._active[STEMS[index]]
        made, reference = windows(estimate)[where], windows(true)[where]
        return {
            "si_sdr": si_sdr(made, reference),
            "sdr_active": window_sdr(made, reference),
            "sdr_song": np.array([utterance_sdr(estimate, true)]),
            "si_sdr_song": np.array([song_si_sdr(estimate, true)]),
        }

    def _improved(self, stem: str, ratios: Mapping[str, Values]) -> dict[str, float | None]:
        """Medians over windows of ratios and of their gain over the mixture's in the same window."""
        values = {name: median(value) for name, value in ratios.items()}
        gains = {f"{name}_gain": median(value - self._base[stem][name]) for name, value in ratios.items()}
        return values | gains

    def _bss_eval(self, estimate: Mapping[str, Sound]) -> dict[str, dict[str, float | None]]:
        if self._bss is None:
            return {}
        ratios = self._bss(np.stack([estimate[stem] for _, stem in self._stems()]))
        return {
            stem: {f"bss_{name}": median(ratios[number, place]) for number, name in enumerate(RATIOS)}
            for place, (_, stem) in enumerate(self._stems())
        }

    def _spectral(self, estimate: Sound, index: int) -> dict[str, float | None]:
        """Log-spectral distance: median over active windows; phase deviation: over all of them together."""
        true = self._song.stems[index]
        distances: list[float] = []
        above = below = np.zeros(len(PHASE))
        size = min(WINDOW, true.shape[1])
        for number in np.flatnonzero(self._active[STEMS[index]]):
            part = slice(number * size, (number + 1) * size)
            made, reference = stft(estimate[:, part]), stft(true[:, part])
            distances.append(spectral_distance(made, reference))
            more = phase_sums(made, reference)
            above, below = above + more[0], below + more[1]
        # A band that holds less than a millionth of the stem's energy is left out: its phase is that of noise.
        heard = below > 1e-6 * below.sum()
        phase = np.divide(above, below, out=np.full_like(above, np.nan), where=heard)
        return {"lsd": median(np.array(distances)), **dict(zip(PHASE, phase.tolist(), strict=True))}

    def _heard(self, estimate: Sound, index: int) -> dict[str, float | None]:
        scores: dict[str, float | None] = {}
        true = self._song.stems[index]
        for judge in self._judges:
            if STEMS[index] in judge.stems:
                part = loudest(true, judge.seconds)
                scores |= judge(estimate[:, part], true[:, part])
        return scores

    def _across(self, stems: Sound) -> Measures:
        leaks = leakage(stems, self._song.stems)
        leaks[:, [index for index in range(len(STEMS)) if index not in self._present]] = np.nan
        return {
            "leakage": _table(leaks),
            "correlation": _table(correlation(stems)),
            "residual_db": _rounded(residual_db(self._song.mixture, stems)),
        }


def _table(values: Values) -> list[list[float | None]]:
    return [[_rounded(value) for value in row] for row in values.tolist()]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
