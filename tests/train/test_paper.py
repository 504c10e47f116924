"""The paper's stage, and the model that comes of it on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from streamsep.audio.files import read_audio
from streamsep.codec.model import Codec
from streamsep.config import STEMS
from streamsep.engine.separator import find_model
from streamsep.errors import OptionError
from streamsep.model.checkpoint import load_model
from streamsep.paper.checkpoint import load_paper
from streamsep.train.checkpoint import load_weights, save_weights
from streamsep.train.loop import BEST
from streamsep.train.recipe import load_recipe
from streamsep.train.run import TrainOptions, train
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.conftest import Song


@pytest.fixture(scope="module")
def trained(recipe: Path, pool: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A paper model on a codec that was not trained: its codes mean something all the same."""
    out = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    (out / "codec").mkdir()
    save_weights(out / "codec" / BEST, Codec(load_recipe(str(recipe)).model.codec))
    log: list[str] = []
    train("paper", TrainOptions(str(recipe), (pool,), pool, out, workers=0), log.append)
    return out, log


def values(log: list[str], name: str) -> list[float]:
    rows = [line.split() for line in log if line.startswith("step")]
    return [float(row[row.index(name) + 1]) for row in rows]


def test_losses_fall_and_songs_are_scored(trained: tuple[Path, list[str]]) -> None:
    out, log = trained
    for name, less in (("ce", 0.3), ("readout", 0.1)):
        found = values(log, name)
        assert np.mean(found[-5:]) < np.mean(found[:3]) - less, name
    (scored,) = (line for line in log if line.startswith("valid"))
    assert "nll" in scored and all(stem in scored for stem in STEMS)
    for name in ("last.pt", BEST, "step000030.png", "step000030.flac"):
        assert (out / "paper" / name).stat().st_size > 0


def test_the_codec_stays_as_it_was(trained: tuple[Path, list[str]], recipe: Path) -> None:
    out, _ = trained
    codec = Codec(load_recipe(str(recipe)).model.codec)
    load_weights(out / "codec" / BEST, codec)
    kept = load_paper(out / "model").codec.state_dict()
    for name, value in codec.state_dict().items():
        torch.testing.assert_close(kept[name], value, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("more", [(), ("--seed", 3)])
def test_the_model_separates_files(
    trained: tuple[Path, list[str]], run: Run, make_song: Song, tmp_path: Path, more: tuple[object, ...]
) -> None:
    song = make_song("song.wav", 2.3, 44_100, 2)
    result = run(
        *("separate", song, "-o", tmp_path / "out", "--mode", "paper", "--model", trained[0] / "model"),
        *("--bits", "f32", "--json", "--threads", 1, *more),
    )
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["mode"] == "paper"
    mixture, _ = read_audio(song)
    stems = {name: read_audio(path)[0] for name, path in report["songs"][0]["stems"].items()}
    assert set(stems) == set(STEMS)
    np.testing.assert_allclose(np.sum(list(stems.values()), axis=0), mixture, atol=1e-4)


def test_what_does_not_go_together_is_said_in_one_line(
    trained: tuple[Path, list[str]], run: Run, make_song: Song, tmp_path: Path
) -> None:
    song, paper = make_song("song.wav", 0.5), ("--mode", "paper")
    for arguments, text in (
        (paper, "the model 'tiny' has no language model for the mode paper; train one"),
        ((*paper, "--lookahead", 1), "--lookahead is for the streaming mode"),
        (("--mode", "live"), "unknown mode 'live'; choose one of streaming, paper."),
        ((*paper, "--model", tmp_path), "has no language model for the mode paper"),
    ):
        result = run("separate", song, "-o", tmp_path / "out", *arguments)
        assert result.code == 2 and text in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_codec_of_init_comes_with_its_shape(recipe: Path, pool: Path, tmp_path: Path) -> None:
    options = TrainOptions(str(recipe), (pool,), None, tmp_path / "out", steps=1, init="tiny", workers=0)
    train("paper", options)
    of_tiny = load_model(find_model("tiny")).config.codec
    assert load_paper(tmp_path / "out" / "model").codec.cfg == of_tiny != load_recipe(str(recipe)).model.codec


def test_a_paper_model_without_a_codec_and_of_a_bad_order(recipe: Path, pool: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="train that stage first"):
        train("paper", TrainOptions(str(recipe), (pool,), None, tmp_path, workers=0))
    bad = tmp_path / "bad.toml"
    bad.write_text('[model.paper]\norder = "random"\n')
    with pytest.raises(OptionError, match="unknown order 'random'; choose one of sequential, wavefront, parallel"):
        load_recipe(str(bad))
