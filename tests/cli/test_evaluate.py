"""``streamsep evaluate`` and ``data pseudo-label`` as a whole, with the shipped model."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.data.pool import open_pool
from tests.cli.conftest import Run
from tests.sounds import tune

RATE = 48_000


def write_songs(root: Path, count: int = 2, seconds: float = 2.5) -> None:
    for index in range(count):
        folder = root / f"song {index}"
        folder.mkdir(parents=True)
        for number, stem in enumerate(("vocals", "drums", "bass")):
            sound = tune(seconds, RATE, 2, seed=10 * index + number)
            soundfile.write(folder / f"{stem}.wav", np.roll(sound, 5_000 * number, 1).T / 3, RATE, subtype="FLOAT")


def quarters(mixture: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    return dict.fromkeys(("vocals", "drums", "bass", "other"), mixture / 4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_report_is_whole_and_resumes(run: Run, tmp_path: Path) -> None:
    write_songs(tmp_path / "songs")
    out = tmp_path / "report"
    wanted = ["--system", f"quarters=python:{__name__}:quarters", "--metrics", "sdr,spectral,leakage", "--exhibits", 1]
    result = run("evaluate", tmp_path / "songs", "-o", out, *wanted, "--workers", 2, "--brief")
    assert result.code == 0, result.err
    assert "quarters" in result.out and "index.html" in result.out
    report = json.loads((out / "results.json").read_text())
    labels = [row["label"] for row in report["summaries"]]
    assert {"mask of true tokens", "codec round trip", "fused (default), k = 0", "quarters"} <= set(labels)
    for row in report["summaries"]:
        assert row["measures"]["sdr_song"]["vocals"]["count"] == 2 and row["measures"]["lsd"]["drums"] is not None
        assert row["leakage"][0][3] is None  # there is no other in these songs
    by_label = {row["label"]: row for row in report["summaries"]}
    assert by_label["fused (default), k = 0"]["residual_db"]["mean"] < -100
    assert {test["a"] for test in report["comparisons"]["si_sdr"]} >= {"hard tokens, k = 0", "fused (default), k = 0"}

    page = (out / "index.html").read_text()
    assert page.count("<audio") == page.count("data:audio/mpeg;base64,") > 9
    assert page.count("data:image/png;base64,") == page.count("<img")
    assert "http" not in re.sub('base64,[^"]+', "", page) and "<svg" in page  # nothing is fetched from anywhere

    before = {path: path.stat().st_mtime_ns for path in (out / "songs").iterdir()}
    again = run("evaluate", tmp_path / "songs", "-o", out, *wanted, "--workers", 1, "--brief", "--json")
    assert {path: path.stat().st_mtime_ns for path in (out / "songs").iterdir()} == before
    assert json.loads(again.out)["summaries"] == report["summaries"]
    assert json.loads((out / "results.json").read_text()) == report
    # A song that changed is measured anew, the other is not.
    soundfile.write(tmp_path / "songs" / "song 1" / "bass.wav", np.full((RATE * 2, 2), 0.1), RATE)
    run("evaluate", tmp_path / "songs", "-o", out, *wanted, "--workers", 1, "--brief")
    after = {path: path.stat().st_mtime_ns for path in (out / "songs").iterdir()}
    assert sorted(after[path] != before[path] for path in before) == [False, True]


def test_robustness_gives_figures(run: Run, tmp_path: Path) -> None:
    write_songs(tmp_path / "songs", 1, 1.5)
    result = run("evaluate", tmp_path / "songs", "--robustness", "--workers", 1, "--json", "--brief")
    assert result.code == 0, result.err
    rows = json.loads(result.out)["robustness"]["rows"]
    figures = {row["what"]: row for row in rows}
    silence = figures["silence in: peak of the stems, dBFS"]
    assert silence["holds"] and silence["values"] == [-200.0]
    changes = [row["values"] for row in rows if "at a peak of" in row["what"]]
    assert len(changes) == 2 and all(len(values) == 1 and abs(values[0]) < 3 for values in changes)
    bleed = [row["values"][0] for row in rows if "below" in row["what"]]
    assert len(bleed) == 2 and all(-100 < value < 1 for value in bleed)
    assert len([row for row in rows if "history" in row["what"] and row["values"]]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metrics", "taste"], "unknown metrics 'taste'"),
        (["--system", "nothing"], "unknown system 'nothing'"),
        (["--workers", 0], "--workers 0"),
        (["--exhibits", -1], "--exhibits -1"),
        (["--baseline", "x/a", "--baseline", "x/a"], "two of the rows would be called 'baseline x/a'"),
        (["--system", "mixture=true {input} {output}"], "two of the rows would be called 'mixture'"),
        (["--seconds", "nan"], "give 1 or more"),
        (["--nisqa", "none.tar", "--metrics", "perceptual"], "not the file nisqa.tar"),
        (["--split", "valid"], "below a folder 'valid'"),
        (["--model", "none", "--workers", 1], "unknown model 'none'"),
    ],
)
def test_bad_options_are_one_sentence(run: Run, tmp_path: Path, options: list[object], said: str) -> None:
    write_songs(tmp_path / "songs", 1, 1.0)
    result = run("evaluate", tmp_path / "songs", *options)
    assert result.code == 2 and said in result.err and len(re.findall("\n", result.err)) == 1


@pytest.mark.slow
def test_streamsep_teaches_itself(run: Run, tmp_path: Path) -> None:
    sound = tune(3.0, RATE)
    soundfile.write(tmp_path / "song.flac", sound.T, RATE, subtype="PCM_24")
    teacher = f"{sys.executable} -m streamsep separate {{input}} -o {{output}}"
    result = run(
        "data", "pseudo-label", tmp_path / "song.flac", tmp_path / "pool", "--teacher", teacher, "--gate", "energy"
    )
    assert result.code == 0, result.err
    (song,) = open_pool([tmp_path / "pool"])
    assert song.meta["residual_db"] < -60
    np.testing.assert_allclose(song.stems.sum(0) / 32_768, sound, atol=2e-3)
