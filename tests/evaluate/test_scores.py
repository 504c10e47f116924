"""Scores of songs that are made so that the right answer is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.config import STEMS
from streamsep.errors import OptionError
from streamsep.evaluate.entries import IdealMasks, ModelEntry, SystemEntry
from streamsep.evaluate.run import EvaluateOptions, Evaluation, SongRecord, evaluate_song
from streamsep.evaluate.scores import ORACLES, Row, SongScorer, song_summary, total_summary
from streamsep.evaluate.songs import TrueStems, find_songs

SECONDS = 4


def song(levels: Mapping[str, float], name: str = "song", seed: int = 0) -> TrueStems:
    """White noise of a level a stem; a stem that is not named is silent."""
    rng = np.random.default_rng(seed)
    stems = rng.standard_normal((4, 2, SECONDS * 48_000)).astype(np.float32)
    stems *= np.array([levels.get(stem, 0.0) for stem in STEMS], np.float32)[:, None, None]
    return TrueStems(name, stems, stems.sum(0))


def named(stems: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(STEMS, stems, strict=True))


def test_improvement_is_over_the_mixture_window_by_window() -> None:
    made = song({"vocals": 0.1, "drums": 0.1})
    scorer = SongScorer(made)
    half = named(0.5 * made.stems + 0.5 * made.mixture)  # halves the other stem: 6 dB better for two equal stems
    scorer.add(Row("half", 0), half)
    rows = {row["estimate"]: row for row in song_summary(scorer.scores)["rows"]}
    assert rows["mixture"]["si_sdr"]["vocals"] == pytest.approx(0, abs=0.1)
    assert rows["half"]["si_sdr"]["drums"] == pytest.approx(6.02, abs=0.1)
    assert rows["half"]["improvement"]["drums"] == pytest.approx(6.02, abs=0.05)
    assert rows["half"]["improvement"]["mean"] == pytest.approx(6.02, abs=0.05)
    assert rows["mixture"]["improvement"]["mean"] == 0
    assert rows["half"]["si_sdr"]["bass"] is None


def test_only_active_windows_count() -> None:
    made = song({"vocals": 0.1, "drums": 0.1})
    made.stems[0, :, :48_000] = 0
    made.stems[0, :, 48_000:96_000] *= 0.001
    scorer = SongScorer(TrueStems("song", made.stems, made.stems.sum(0)))
    assert song_summary(scorer.scores)["active_windows"] == {"vocals": 2, "drums": 4, "bass": 0, "other": 0}


def test_an_absent_stem_is_measured_by_its_level() -> None:
    made = song({"drums": 0.1})
    scorer = SongScorer(made)
    estimate = named(np.zeros_like(made.stems))
    scorer.add(Row("leaky", 0), {**estimate, "vocals": made.mixture * np.float32(0.1)})
    row = song_summary(scorer.scores)["rows"][-1]
    assert row["absent_db"]["vocals"] == pytest.approx(-20, abs=1e-3)
    assert "drums" not in row["absent_db"]


def test_a_row_that_some_songs_lack_is_summed_over_the_others() -> None:
    songs = []
    for seed in range(3):
        made = song({"vocals": 0.1, "bass": 0.1}, seed=seed)
        scorer = SongScorer(made)
        scorer.add(Row("soft", 0), named(made.stems))
        if seed:
            scorer.add(Row("other"), named(made.stems + np.float32(0.5) * (made.mixture - made.stems)))
        songs.append(scorer.scores)
    total = {row["estimate"]: row for row in total_summary(songs)}
    assert list(total) == ["mixture", "soft", "other"]
    assert total["soft"]["songs"] == 3 and total["other"]["songs"] == 2
    assert total["other"]["improvement"]["vocals"] == pytest.approx(6.02, abs=0.1)


def test_totals_pool_windows_and_average_songs_both_ways() -> None:
    songs = []
    for seed, gain in ((0, 0.5), (1, 0.25), (2, 0.03125)):
        made = song({"vocals": 0.1, "bass": 0.1}, seed=seed)
        scorer = SongScorer(made)
        scorer.add(Row("soft", 0), named(made.stems + np.float32(gain) * (made.mixture - made.stems)))
        songs.append(scorer.scores)
    total = total_summary(songs)[-1]
    assert total["improvement"]["vocals"] == pytest.approx(12.04, abs=0.1)
    assert total["over_songs"]["improvement"]["vocals"] == pytest.approx(np.mean([6.02, 12.04, 30.1]), abs=0.1)
    assert total["median_song"]["improvement"]["vocals"] == pytest.approx(12.04, abs=0.1)
    assert total["median_song"]["si_sdr"]["drums"] is None
    assert total["estimate"] == "soft" and total["lookahead"] == 0
    json.dumps(total, allow_nan=False)


class Halver:
    """An estimator that knows nothing: every stem is a quarter of the mixture."""

    def estimates(self, mixture: np.ndarray, lookahead: int) -> Iterable[tuple[str, Mapping[str, np.ndarray]]]:
        yield "fused", dict.fromkeys(STEMS, mixture * np.float32(0.25))

    def latency(self, lookahead: int) -> int:
        return 2_880 + 1_920 * lookahead


def write(folder: Path, made: TrueStems) -> None:
    folder.mkdir(parents=True)
    for stem, sound in named(made.stems[:, :, :96_000]).items():
        soundfile.write(folder / f"{stem}.wav", sound.T, 48_000, subtype="FLOAT")


def test_a_song_is_measured_and_its_record_survives_json(tmp_path: Path) -> None:
    write(tmp_path / "one", song({"vocals": 0.1, "bass": 0.05}))
    seen: list[str] = []
    options = EvaluateOptions((0, 1), seconds=1, families=("sdr", "leakage"))
    entries = [IdealMasks(), ModelEntry(Halver(), (0, 1)), ModelEntry(Halver(), (0,), "baseline x", "fused")]
    (folder,) = find_songs(tmp_path)
    record = evaluate_song(folder, entries, options, step=seen.append)
    assert seen == ["one"] * (1 + sum(entry.pieces for entry in entries))
    again = SongRecord.from_dict(json.loads(json.dumps(record.to_dict(), allow_nan=False)))
    assert again.to_dict() == record.to_dict()
    report = Evaluation([again]).to_dict()
    rows = {(row["estimate"], row["lookahead"]): row for row in report["total"]}
    assert set(rows) == {*((name, None) for name in ORACLES), ("fused", 0), ("fused", 1), ("baseline x", 0)}
    assert rows["fused", 0]["improvement"]["mean"] == pytest.approx(0, abs=1e-3)
    assert rows["ideal_bins", None]["improvement"]["vocals"] > rows["ideal_bands", None]["improvement"]["vocals"] > 0
    assert rows["fused", 0]["absent_db"]["drums"] == pytest.approx(-12.04, abs=0.01)
    found = record.measures[Row("fused", 0)]
    # A quarter of v + b, |v|² = 4 |b|²: v - e = 3/4 v - 1/4 b.
    assert found["stems"]["vocals"]["sdr_song"] == pytest.approx(-10 * np.log10(9 / 16 + 1 / 64), abs=0.05)
    assert found["residual_db"] == -120 and set(found["stems"]) == {"vocals", "bass"}


def test_a_system_that_fails_has_no_row(tmp_path: Path) -> None:
    write(tmp_path / "one", song({"vocals": 0.1, "bass": 0.05}))
    (folder,) = find_songs(tmp_path)
    entries = [SystemEntry("bad=false {input} {output}"), ModelEntry(Halver(), (0,))]
    record = evaluate_song(folder, entries, EvaluateOptions(seconds=1))
    (failure,) = record.failures
    assert "'one'" in failure and "'bad'" in failure and "code 1" in failure
    assert set(record.scores.sdr) == {Row("mixture"), Row("fused", 0)}


@pytest.mark.parametrize("bad", [{"lookaheads": (3,)}, {"seconds": 0.5}, {"limit": 0}])
def test_options_that_make_no_sense(bad: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        EvaluateOptions(**bad)  # pyright: ignore[reportArgumentType]
