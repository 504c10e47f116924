"""What a separator must withstand: silence, loudness, songs without vocals or with nothing else, its own history.

Knows a model and songs; the default render, mask and fused. Every check has a wanted figure and says whether it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import AudioError
from streamsep.evaluate.metrics import Sound, Values, active, level_db, median, si_sdr, windows
from streamsep.evaluate.run import EvaluateOptions
from streamsep.evaluate.songs import SongFolder, TrueStems, load_song
from streamsep.evaluate.statistics import signed_rank

if TYPE_CHECKING:
    from streamsep.engine.separator import Separator

Progress = Callable[[str, int, int], None]

PEAKS_DBFS: tuple[float, ...] = (0.0, -20.0, -40.0)
MOST_CHANGE_DB = 1.0
INSTRUMENTAL_DB, ACAPPELLA_DB, SILENCE_DBFS = -25.0, -20.0, -120.0
HISTORIES: tuple[str, ...] = ("soft", "hard")  # what may be fed back; against "none"
_SILENT_SECONDS = 3
_SETTLE_SECONDS = 1  # after the music has ended
_FLOOR_DB = -200.0
_CHANCE = 0.05
_SURE = f"above 0, p < {_CHANCE:g} (Wilcoxon)"


@dataclass(frozen=True)
class Check:
    """``values`` a song, ``figure`` what they say, ``wanted`` the bar, ``holds`` whether it is reached."""

    what: str
    figure: str
    wanted: str
    holds: bool
    values: tuple[float, ...] = ()


def measure_robustness(
    songs: Sequence[SongFolder], model: str, device: str, options: EvaluateOptions, progress: Progress
) -> dict[str, Any]:
    """All checks over ``songs``, JSON-ready. Songs without vocals, or with nothing else, have no bleed.

    Raises StreamsepError when the model is unknown; songs that cannot be read are passed over here.
    """
    import streamsep

    separator = streamsep.load(model, device)
    lookahead = options.lookaheads[0]
    bench = _Bench(separator, lookahead)
    parts: list[Callable[[TrueStems], None]] = [bench.loudness, bench.bleed, bench.history, bench.silence]
    done = measured = 0
    for folder in songs:
        try:
            song = load_song(folder, options.seconds)
        except AudioError:
            done += len(parts)
            continue
        measured += 1
        for part in parts:
            progress(f"{folder.name}, {part.__name__}", done, len(parts) * len(songs))
            part(song)
            done += 1
    return {"lookahead": lookahead, "songs": measured, "rows": [asdict(check) for check in bench.checks()]}


class _Bench:
    def __init__(self, separator: Separator, lookahead: int) -> None:
        self._separator, self._lookahead = separator, lookahead
        self._changes: dict[float, list[float]] = {peak: [] for peak in PEAKS_DBFS[1:]}
        self._instrumental: list[float] = []
        self._acappella: list[float] = []
        self._silence: list[float] = []
        self._gains: dict[str, list[float]] = {history: [] for history in HISTORIES}

    def loudness(self, song: TrueStems) -> None:
        """SI-SDR of the song at each peak level, against that at full scale."""
        peak = float(np.max(np.abs(song.mixture)))
        scores: list[float | None] = []
        for level in PEAKS_DBFS:
            gain = np.float32(10 ** (level / 20) / peak)
            scores.append(_mean_si_sdr(song, self._separate(song.mixture * gain)))
        for level, score in zip(PEAKS_DBFS[1:], scores[1:], strict=True):
            if score is not None and scores[0] is not None:
                self._changes[level].append(score - scores[0])

    def bleed(self, song: TrueStems) -> None:
        """What comes out as vocals when nobody sings, and as accompaniment when nothing else plays."""
        vocals, rest = song.stems[0], song.stems[1:].sum(0)
        if _energy_db(vocals) < _SILENT or _energy_db(rest) < _SILENT:
            return
        found = self._separate(rest)
        self._instrumental.append(_energy_db(found[STEMS[0]]) - _energy_db(rest))
        found = self._separate(vocals)
        accompaniment = np.sum([found[stem] for stem in STEMS[1:]], axis=0)
        self._acappella.append(_energy_db(accompaniment) - _energy_db(vocals))

    def history(self, song: TrueStems) -> None:
        """SI-SDR of the soft latents with the model's own history fed back, against none."""
        scores = {feedback: _mean_si_sdr(song, self._soft(song.mixture, feedback)) for feedback in (*HISTORIES, "none")}
        for history in HISTORIES:
            with_it, without = scores[history], scores["none"]
            if with_it is not None and without is not None:
                self._gains[history].append(with_it - without)

    def silence(self, song: TrueStems) -> None:
        """Peak of the stems of silence before and after five seconds of music."""
        quiet = np.zeros((2, _SILENT_SECONDS * SAMPLE_RATE), np.float32)
        music = song.mixture[:, : 5 * SAMPLE_RATE]
        found = self._separate(np.concatenate([quiet, music, quiet], 1))
        before = slice(0, quiet.shape[1] - SAMPLE_RATE)  # the renderer's window reaches into the music
        after = slice(quiet.shape[1] + music.shape[1] + _SETTLE_SECONDS * SAMPLE_RATE, None)
        peak = max(float(np.max(np.abs(sound[:, part]))) for sound in found.values() for part in (before, after))
        self._silence.append(20 * float(np.log10(max(peak, 10 ** (_FLOOR_DB / 20)))))

    def checks(self) -> list[Check]:
        found = [_at_most("silence in: peak of the stems, dBFS", self._silence, SILENCE_DBFS, worst=True)]
        for peak, changes in self._changes.items():
            found.append(_within(f"SI-SDR at a peak of {peak:.0f} dBFS minus at 0 dBFS, dB", changes, MOST_CHANGE_DB))
        found.append(_at_most("no vocals: vocal stem below the mixture, dB", self._instrumental, INSTRUMENTAL_DB))
        found.append(_at_most("vocals alone: accompaniment below them, dB", self._acappella, ACAPPELLA_DB))
        for history, gains in self._gains.items():
            what = f"SI-SDR of soft latents, own history ({history}) minus none, dB"
            found.append(_gain(what, gains))
        return found

    def _separate(self, mixture: Sound) -> dict[str, Sound]:
        return self._separator.separate(np.ascontiguousarray(mixture), SAMPLE_RATE, self._lookahead)

    def _soft(self, mixture: Sound, feedback: str) -> dict[str, Sound]:
        from streamsep.engine.settings import Settings
        from streamsep.engine.stream import Stream

        settings = Settings(decodes=("soft",), feedback=feedback)
        stream = Stream(self._separator.net, settings, SAMPLE_RATE, 2, self._lookahead)
        parts = stream.push(mixture), stream.flush()
        return {stem: np.concatenate([part[stem] for part in parts], 1) for stem in STEMS}


_SILENT = -70.0  # dBFS: below it there is no such stem


def _mean_si_sdr(song: TrueStems, found: Mapping[str, Sound]) -> float | None:
    """Mean over stems of the median over active seconds; of the song as it is, whatever its level when separated."""
    mixture = level_db(windows(song.mixture))
    values: list[float] = []
    for index, stem in enumerate(STEMS):
        true: Values = windows(song.stems[index])
        where = active(level_db(true), mixture)
        value = median(si_sdr(windows(found[stem])[where], true[where]))
        if value is not None:
            values.append(value)
    return float(np.mean(values)) if values else None


def _energy_db(sound: Sound) -> float:
    return 10 * float(np.log10(max(float(np.mean(sound.astype(np.float64) ** 2)), 10 ** (_FLOOR_DB / 10))))


def _at_most(what: str, values: Sequence[float], limit: float, worst: bool = False) -> Check:
    """``worst``: the largest value counts, not the median."""
    return _check(what, values, f"at most {limit:.0f}", lambda value: value <= limit, worst=worst)


def _within(what: str, values: Sequence[float], limit: float) -> Check:
    """The largest change of any song counts."""
    worst = max(values, key=abs, default=None)
    figure = "not measured" if worst is None else f"{np.median(values):+.2f} median, {worst:+.2f} worst"
    holds = worst is not None and abs(worst) < limit
    return Check(what, figure, f"less than {limit:g} either way, in every song", holds, tuple(values))


def _gain(what: str, values: Sequence[float]) -> Check:
    """A median above zero, and not by chance."""
    if not values:
        return Check(what, "not measured", _SURE, False)
    middle, p = float(np.median(values)), signed_rank(values)
    figure = f"{middle:+.2f} median, {min(values):+.2f} to {max(values):+.2f}, p = {p:.2g} over {len(values)} songs"
    return Check(what, figure, _SURE, middle > 0 and p < _CHANCE, tuple(round(value, 3) for value in values))


def _check(
    what: str,
    values: Sequence[float],
    wanted: str,
    holds: Callable[[float], bool],
    worst: bool = False,
) -> Check:
    if not values:
        return Check(what, "not measured", wanted, False)
    middle, most = float(np.median(values)), max(values)
    figure = f"{middle:.1f} median, {most:.1f} worst"
    return Check(what, figure, wanted, holds(most if worst else middle), tuple(round(value, 3) for value in values))
