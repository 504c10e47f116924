"""Recipes that go on from one another: their order, and that all of them run, are resumed, and make a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import streamsep
from streamsep.errors import OptionError
from streamsep.model.checkpoint import load_model
from streamsep.train.chain import chain, train_all
from streamsep.train.recipe import RECIPES, load_recipe
from streamsep.train.run import TrainOptions
from tests.sounds import tune


def test_shipped_models_come_of_chains_that_begin_with_nothing() -> None:
    tiny = ["tiny-start", "tiny-more", "tiny-deep", "tiny-rough", "tiny-joint", "tiny"]
    assert chain("tiny") == tiny
    assert chain("base") == [*tiny, "base-deep", "base"]
    assert load_recipe("tiny-start").own == ("guide", "codec", "lm")
    for path in RECIPES.glob("*.toml"):
        recipe = load_recipe(path.stem)
        assert recipe.own and (not recipe.after or load_recipe(recipe.after).own[-1] == "lm"), path.stem


@pytest.mark.parametrize("model", ["tiny", "base"])
def test_what_is_shipped_has_the_shape_of_its_recipe(model: str) -> None:
    shipped = load_model(Path(streamsep.__file__).parent / "weights" / model).config
    assert shipped.condition == load_recipe(model).model.condition


def test_a_model_to_begin_with_takes_the_place_of_its_recipe() -> None:
    assert chain("base", "tiny") == ["base-deep", "base"]
    assert chain("tiny", "tiny-joint") == ["tiny"]
    assert chain("tiny", "runs/mine") == ["tiny"], "what is known by no recipe is where the recipe itself begins"


def test_a_circle_is_named(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text(f'after = "{second}"\n')
    second.write_text(f'after = "{first}"\n')
    with pytest.raises(OptionError, match="goes on from it; mend one"):
        chain(str(first))


def test_all_of_a_chain_runs_and_goes_on_where_it_was(recipe: Path, pool: Path, tmp_path: Path) -> None:
    text = recipe.read_text().partition("[paper]")[0]
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text(text)
    deeper = text.replace("layers = 1\nheads = 2\nkernel = 3", "layers = 2\nheads = 2\nkernel = 3")
    before, _, after = deeper.partition("[codec]")
    second.write_text(f'after = "{first}"\n' + before + after[after.index("[lm]") :])
    assert load_recipe(str(first)).own == ("guide", "codec", "lm") and load_recipe(str(second)).own == ("guide", "lm")
    log: list[str] = []
    options = TrainOptions(str(second), (pool,), None, tmp_path / "runs", steps=3, workers=0)
    model = train_all(options, log.append)
    assert model == tmp_path / "runs" / "second" / "model"
    heads = [line for line in log if line.startswith("recipe")]
    assert heads == [
        "recipe first (1 of 2), guide", "recipe first (1 of 2), codec", "recipe first (1 of 2), lm",
        "recipe second (2 of 2), guide", "recipe second (2 of 2), lm",
    ]  # fmt: skip
    assert not any("from nothing" in line for line in log)
    start, made = load_model(tmp_path / "runs" / "first" / "model"), load_model(model)
    assert (len(start.trunk.encoder.conformer.blocks), len(made.trunk.encoder.conformer.blocks)) == (1, 2)
    for name, value in start.codec.state_dict().items():
        torch.testing.assert_close(made.codec.state_dict()[name], value, msg=f"{name} of the codec came with the model")
    streamsep.load(str(model)).separate(tune(0.5, 48_000), 48_000)

    again: list[str] = []
    train_all(options, again.append)
    assert [line for line in again if line.startswith("going on")] == 5 * ["going on from step 3, best score 0.000"]
    assert not any(line.startswith("step") for line in again)
