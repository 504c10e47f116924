"""The whole of training in small: three stages one after the other, and the model that comes of it separates."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import streamsep
from streamsep.data.mixing import MixingConfig
from streamsep.errors import OptionError, OutputError
from streamsep.model.net import Net
from streamsep.model.trunk import Trunk
from streamsep.train.checkpoint import save_checkpoint
from streamsep.train.guide import GuideStage
from streamsep.train.lm import LMStage
from streamsep.train.loop import Trainer
from streamsep.train.recipe import StageConfig, load_recipe
from streamsep.train.run import TrainOptions, mixtures, train
from tests.sounds import tune


class Log(list[str]):
    """What a run says."""

    def values(self, name: str) -> list[float]:
        rows = [line.split() for line in self if line.startswith("step")]
        return [float(row[row.index(name) + 1]) for row in rows if name in row]


@pytest.fixture(scope="module")
def trained(recipe: Path, pool: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Log]]:
    out = tmp_path_factory.mktemp("runs")
    options = TrainOptions(str(recipe), (pool,), pool, out, workers=0)
    logs = {stage: Log() for stage in ("guide", "codec", "lm")}
    for stage, log in logs.items():
        train(stage, options, log.append)
    return out, logs


def test_losses_fall(trained: tuple[Path, dict[str, Log]]) -> None:
    _, logs = trained
    share = logs["guide"].values("share")
    assert np.mean(share[-5:]) < np.mean(share[:5]) - 0.1
    error = logs["codec"].values("env_db")
    assert np.mean(error[-5:]) < 0.8 * np.mean(error[:5])
    assert len(logs["codec"].values("bin_db")) == 24  # the acoustic stage came after it
    guessed = logs["lm"].values("ce")
    assert np.mean(guessed[-3:]) < guessed[0]


def test_codebooks_are_in_use(trained: tuple[Path, dict[str, Log]]) -> None:
    _, logs = trained
    semantic = [values[95] for q in range(4) if (values := logs["codec"].values(f"perplexity_{q}"))]
    assert len(semantic) == 4
    assert min(semantic) > 8  # of 32


def test_a_run_leaves_scores_pictures_and_sounds(trained: tuple[Path, dict[str, Log]]) -> None:
    out, logs = trained
    for stage, steps in (("guide", 40), ("codec", 120), ("lm", 8)):
        for name in ("last.pt", "best.safetensors", f"step{steps:06d}.png", f"step{steps:06d}.flac"):
            assert (out / stage / name).stat().st_size > 0
        assert any((out / stage / "log").iterdir())
        assert any(line.startswith("valid") and "score" in line for line in logs[stage])


def test_the_model_that_comes_out_is_loaded_and_separates(trained: tuple[Path, dict[str, Log]]) -> None:
    out, _ = trained
    separator = streamsep.load(str(out / "model"))
    song = tune(0.5, 48_000)
    stems = separator.separate(song, 48_000)
    np.testing.assert_allclose(np.sum(list(stems.values()), axis=0), song, atol=1e-4)


def make(recipe: Path, folder: Path, log: Log, judge: str = "", **changed: Any) -> Trainer:
    torch.manual_seed(0)
    loaded = load_recipe(str(recipe))
    config = replace(loaded.stages["guide"], **{"steps": 8, "save_every": 3, "precision": "float32", **changed})
    stage = GuideStage(Trunk(loaded.model.condition), config, None)
    return Trainer(stage, config, folder, log.append, judge)


def waves(step: int, last: int | None = None) -> Iterator[Tensor]:
    while step != last:
        yield 0.1 * torch.randn(2, 4, 2, 30 * 1_920, generator=torch.Generator().manual_seed(step))
        step += 1
    raise KeyboardInterrupt


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(recipe: Path, tmp_path: Path) -> None:
    whole, broken, resumed = Log(), Log(), Log()
    make(recipe, tmp_path / "whole", whole).run(waves)
    with pytest.raises(KeyboardInterrupt):
        make(recipe, tmp_path / "broken", broken).run(lambda step: waves(step, 5))
    make(recipe, tmp_path / "broken", resumed).run(waves)
    assert resumed[0].startswith("going on from step 3")
    np.testing.assert_allclose(whole.values("loss")[3:], resumed.values("loss"), rtol=1e-4)
    one, two = (torch.load(tmp_path / name / "last.pt") for name in ("whole", "broken"))
    for name, value in one["module"].items():
        torch.testing.assert_close(value, two["module"][name], rtol=1e-4, atol=1e-6)


def test_scores_of_other_songs_do_not_keep_what_is_learnt_now_from_being_kept(recipe: Path, tmp_path: Path) -> None:
    first = make(recipe, tmp_path, Log(), "3 songs of 'valid'", steps=2, score_every=2)
    first.run(waves)
    first.best = 9.0  # what those songs said; without songs every score is 0
    save_checkpoint(tmp_path / "last.pt", first._state())
    before = (tmp_path / "best.safetensors").read_bytes()
    same = make(recipe, tmp_path, Log(), "3 songs of 'valid'", steps=3, score_every=3)
    assert same.best == 9.0
    log = Log()
    make(recipe, tmp_path, log, steps=4, score_every=4).run(waves)
    assert "scores were of 3 songs of 'valid'" in log[1] and (tmp_path / "best.safetensors").read_bytes() != before


def test_a_checkpoint_of_another_net_and_a_rate_of_no_part_are_named(recipe: Path, tmp_path: Path) -> None:
    make(recipe, tmp_path, Log(), steps=1).run(waves)
    wider = tmp_path / "wider.toml"
    wider.write_text(recipe.read_text().replace("kernel = 3", "kernel = 5"))
    with pytest.raises(OptionError, match="is of another recipe; give another --out"):
        make(wider, tmp_path, Log())
    with pytest.raises(OptionError, match="no part of the net is called 'trunc'"):
        make(recipe, tmp_path / "other", Log(), rates={"trunc": 2.0})


class RootOfZero:
    """A stage whose gradient is infinite in every second step."""

    def __init__(self) -> None:
        self.module = nn.Linear(1, 1)
        nn.init.zeros_(self.module.weight)

    def loss(self, waves: Tensor, generator: torch.Generator, progress: float = 0.0) -> tuple[Tensor, dict[str, float]]:
        root = self.module.weight.sum().sqrt() if waves.sum() > 0 else self.module.bias.sum()
        return root, {}

    def score(self) -> dict[str, float]:
        return {"score": 0.0}

    def picture(self, path: Path) -> None: ...

    def sample(self, path: Path) -> None: ...


def test_an_infinite_gradient_teaches_nothing_and_is_told(tmp_path: Path) -> None:
    stage, log = RootOfZero(), Log()
    config = StageConfig(steps=4, log_every=1, muon=False)
    begun = stage.module.bias.item()
    Trainer(stage, config, tmp_path, log.append).run(lambda step: itertools.cycle([torch.ones(1), torch.zeros(1)]))
    assert stage.module.bias.item() != begun and torch.isfinite(stage.module.weight).all()
    assert [line for line in log if "nothing was learnt" in line] == [
        f"step {step}: the gradient is inf, so nothing was learnt in this step" for step in (1, 3)
    ]


def test_a_recipe_may_change_the_mixing(recipe: Path, pool: Path, tmp_path: Path) -> None:
    written = tmp_path / "rough.toml"
    written.write_text("[guide]\nsteps = 10\nsettle = 0.2\nmixing = { rough = 0.5, dropout = [0.1, 0.2, 0.3, 0.4] }\n")
    found = mixtures(TrainOptions(str(recipe), (pool,), None, tmp_path), load_recipe(str(written)).stages["guide"])
    assert found.config == MixingConfig(rough=0.5, dropout=(0.1, 0.2, 0.3, 0.4)) and found.settle == 8
    written.write_text("[guide]\nmixing = { ruff = 0.5 }\n")
    with pytest.raises(OptionError, match="cannot be read: unknown entry 'ruff'; there are active_tries, "):
        load_recipe(str(written))


def test_the_log_says_when_the_data_is_late(recipe: Path, tmp_path: Path) -> None:
    def slow(step: int) -> Iterator[Tensor]:
        for batch in waves(step):
            time.sleep(0.5)
            yield batch

    quick, late = Log(), Log()
    make(recipe, tmp_path / "quick", quick, steps=2).run(lambda step: itertools.repeat(next(waves(step))))
    make(recipe, tmp_path / "late", late, steps=2).run(slow)
    assert all("waiting for data" not in line for line in quick)
    assert "% waiting for data" in late[0]


@pytest.mark.parametrize(("changed", "near"), [({"precision": "bfloat16"}, 0.03), ({"compile": True}, 1e-3)])
def test_faster_training_is_the_same_training(
    recipe: Path, tmp_path: Path, changed: dict[str, Any], near: float
) -> None:
    plain, fast = Log(), Log()
    make(recipe, tmp_path / "plain", plain, steps=4).run(waves)
    make(recipe, tmp_path / "fast", fast, steps=4, **changed).run(waves)
    np.testing.assert_allclose(fast.values("loss"), plain.values("loss"), rtol=near)


def test_processes_train_together(recipe: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    for count in (1, 2):
        (tmp_path / str(count)).mkdir()
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
        what = ["-m", "tests.train.together", str(recipe), str(tmp_path / str(count))]
        subprocess.run([*launch, *what], check=True, timeout=240, env=environment)
    for stage in ("guide", "codec", "acoustic"):
        names = (f"1/{stage}0.pt", f"2/{stage}0.pt", f"2/{stage}1.pt")
        alone, first, second = (torch.load(tmp_path / name) for name in names)
        for name, value in first["state"].items():
            torch.testing.assert_close(value, second["state"][name], rtol=0, atol=0)
        assert any(not torch.equal(value, alone["state"][name]) for name, value in first["state"].items())
        assert first["said"] and not second["said"]
        assert (tmp_path / "2" / stage / "last.pt").is_file()
        assert alone["moved"] == first["moved"], "what rests in one process rests in two"
    assert first["moved"] and not any("semantic" in name for name in first["moved"])


def test_bad_recipes_and_missing_stages_are_named(tmp_path: Path, recipe: Path, pool: Path) -> None:
    with pytest.raises(
        OptionError, match="unknown recipe 'none'; choose one of ablation, base, base-deep, paper, tiny"
    ):
        load_recipe("none")
    (tmp_path / "bad.toml").write_text("[guide]\nstepz = 3\n")
    with pytest.raises(OptionError, match="stepz"):
        load_recipe(str(tmp_path / "bad.toml"))
    (tmp_path / "bad.toml").write_text("[guide]\noptions = { shares = 3 }\n")
    with pytest.raises(OptionError, match="the stage guide has no option 'shares'; it has share, colour_db"):
        load_recipe(str(tmp_path / "bad.toml"))
    for wrong, said in (
        ('[guide]\nsteps = "many"', "'steps' is 'many' where a whole number is wanted"),
        ('model = "tiny"', "'model' is 'tiny' where a table is wanted"),
        ("after = 3", "'after' is 3 where the name of a recipe is wanted"),
        ("guide = 3", "'guide' is 3 where a table"),
        ("[guide]\nbatch = 0", "batch of the stage guide is 0"),
        ("[guide]\nmixing = { dropout = [0.1] }", "a list of 4 numbers is wanted"),
        ('[lm]\nrates = { trunk = "slow" }', "a table of numbers"),
    ):
        (tmp_path / "bad.toml").write_text(wrong)
        with pytest.raises(OptionError, match=said):
            load_recipe(str(tmp_path / "bad.toml"))
    for wrong, said in (("zoom = 7", "whole frames"), ("shared = [2, 1]", "6 tokens are not")):
        (tmp_path / "bad.toml").write_text(f"[model.condition]\n{wrong}\n")
        with pytest.raises(OptionError, match=said):
            load_recipe(str(tmp_path / "bad.toml"))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made: Not a directory; choose another --out"):
        train("guide", TrainOptions(str(recipe), (pool,), None, tmp_path / "file", workers=0))
    for changed in ({"batch": 1}, {"frames": 27}):
        config = replace(load_recipe(str(recipe)).stages["lm"], **changed)
        with pytest.raises(OptionError, match="batches of 2 and 28 frames at least"):
            LMStage(Net(load_recipe(str(recipe)).model), config, None)
    with pytest.raises(OptionError, match="train that stage first"):
        train("lm", TrainOptions(str(recipe), (pool,), None, tmp_path, workers=0))


def test_training_can_begin_with_a_model(
    trained: tuple[Path, dict[str, Log]], recipe: Path, pool: Path, tmp_path: Path
) -> None:
    out, logs = trained
    log = Log()
    options = TrainOptions(str(recipe), (pool,), None, tmp_path / "more", steps=2, init=str(out / "model"), workers=0)
    train("guide", options, log.append)
    assert log.values("share")[0] < logs["guide"].values("share")[0] - 0.05
    deeper = tmp_path / "deeper.toml"
    deeper.write_text(
        recipe.read_text().replace("layers = 1\nheads = 2\nkernel = 3", "layers = 2\nheads = 2\nkernel = 3")
    )
    grown = Log()
    train("guide", replace(options, recipe=str(deeper), out=tmp_path / "deep"), grown.append)
    assert grown.values("share")[0] == pytest.approx(log.values("share")[0], rel=0.02)
    wider = tmp_path / "wider.toml"
    wider.write_text(recipe.read_text().replace("tokens = 5", "tokens = 6\nshared = [1, 2, 1, 1, 1]\nzoom = 4"))
    more = Log()
    train("guide", replace(options, recipe=str(wider), out=tmp_path / "wide"), more.append)
    assert more.values("share")[0] == pytest.approx(log.values("share")[0], rel=0.05)
    with pytest.raises(OptionError, match="not of the recipe's shape"):
        train("guide", replace(options, recipe="tiny", out=tmp_path / "other"))
