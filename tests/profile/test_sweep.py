"""Latency by impulse and the sweep over songs, on a small model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamsep.config import FRAME, STEMS
from streamsep.engine.separator import Separator
from streamsep.profile.impulse import impulse_latency
from tests.cli.conftest import Run, run  # noqa: F401
from tests.sounds import tune


class Delayed:
    """Gives frames of ``frame`` samples once they are full and ``wait`` more samples were heard."""

    def __init__(self, frame: int, wait: int, shift: int = 0) -> None:
        self.frame, self.wait, self.shift = frame, wait, shift
        self.heard = np.zeros((2, 0), np.float32)
        self.given = 0

    def push(self, block: np.ndarray) -> dict[str, np.ndarray]:
        self.heard = np.concatenate([self.heard, block], axis=1)
        until = max(self.given, (self.heard.shape[1] - self.wait) // self.frame * self.frame)
        out = np.roll(self.heard, self.shift, axis=1)[:, self.given : until]
        self.given = until
        return {"vocals": 0.25 * out, "other": 0.75 * out}


@pytest.mark.parametrize(("frame", "wait"), [(400, 0), (400, 150), (100, 37)])
def test_the_worst_wait_is_a_whole_frame_and_more(frame: int, wait: int) -> None:
    found = impulse_latency(lambda: Delayed(frame, wait), 8_000, frame, 1)
    assert found.samples == frame + wait
    assert found.offset == 0


def test_a_stem_that_is_not_aligned_is_found_out() -> None:
    assert impulse_latency(lambda: Delayed(400, 10, shift=3), 8_000, 400, 1).offset == 3


@pytest.mark.parametrize("lookahead", [-1, 0, 1, 2])
@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_a_streams_latency_is_what_it_says(separator: Separator, lookahead: int, rate: int) -> None:
    block = 12
    frame = FRAME * rate // 48_000
    found = impulse_latency(lambda: separator.stream(rate, 2, lookahead), rate, frame, block)
    said = separator.stream(rate, 2, lookahead).latency
    # The click takes some places in a frame only, and time moves by blocks.
    assert said - frame / 8 - block <= found.samples <= said + block
    assert found.offset == 0


def test_sweep_of_two_renders(run: Run, model: Path, tmp_path: Path) -> None:  # noqa: F811
    for number in range(2):
        folder = tmp_path / "songs" / str(number)
        folder.mkdir(parents=True)
        for index, stem in enumerate(STEMS):
            soundfile.write(folder / f"{stem}.wav", tune(2.0, 48_000, 2, 10 * number + index).T, 48_000)
    plot = tmp_path / "sweep.png"
    line = ("profile", "sweep", tmp_path / "songs", "--model", model, "--lookahead", "-1,0", "--limit", 1)
    result = run(*line, "--plot", plot, "--json")
    assert result.code == 0
    report = json.loads(result.out)
    assert len(report["songs"]) == 1
    assert [(point["render"], point["lookahead"]) for point in report["points"]] == [
        ("mask", -1),
        ("mask", 0),
        ("codec", -1),
        ("codec", 0),
    ]
    for point in report["points"]:
        assert set(point["si_sdr"]) == {*STEMS, "mean"}
        assert point["total_ms"] == pytest.approx(point["algorithmic_ms"] + point["compute_ms"], abs=0.01)
    assert report["points"][1]["algorithmic_ms"] == pytest.approx(60, abs=0.5)
    assert plot.read_bytes().startswith(b"\x89PNG")
    shown = run(*line, "--render", "mask", "--seconds", 1, "--plot", tmp_path / "none" / "sweep.png")
    assert shown.code == 2
    assert "compute ms" in shown.out and "sweep.png' cannot be written" in shown.err
    shown = run(*line, "--render", "mask", "--seconds", 1)
    assert shown.code == 0
    assert "compute ms" in shown.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--render", "mask,loud"), "unknown render 'loud'"),
        (("--limit", 0), "--limit 0"),
        (("--threads", 0), "--threads 0"),
        (("--lookahead", "x"), "'x'"),
    ],
)
def test_bad_sweeps_are_one_sentence(run: Run, tmp_path: Path, options: tuple[object, ...], said: str) -> None:  # noqa: F811
    result = run("profile", "sweep", tmp_path, *options)
    assert result.code == 2
    assert said in result.err
    assert result.err.count("\n") == 1
