"""From options to a finished stage: recipe, data, nets, loop. The one place that knows all stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from streamsep.codec.model import Codec
from streamsep.data.mixing import MixingDataset
from streamsep.model.checkpoint import save_model
from streamsep.model.net import Net
from streamsep.model.trunk import Trunk
from streamsep.train.batches import batches
from streamsep.train.checkpoint import load_weights
from streamsep.train.codec import CodecStage
from streamsep.train.guide import GuideStage
from streamsep.train.lm import LMStage
from streamsep.train.loop import BEST, Log, Outcome, Trainer
from streamsep.train.recipe import Recipe, StageConfig, load_recipe
from streamsep.train.stage import Stage
from streamsep.train.validation import ValidationSongs


@dataclass(frozen=True)
class TrainOptions:
    """What the command line asks for; ``steps`` and ``threads`` are the recipe's and torch's own when None."""

    recipe: str
    pools: tuple[Path, ...]
    valid: Path | None
    out: Path
    steps: int | None = None
    threads: int | None = None
    background: bool = True  # a process of its own for the data


def train(stage: str, options: TrainOptions, log: Log = print) -> Outcome:
    """Run one stage (``guide``, ``codec`` or ``lm``) to its end, from where it stands."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    config = recipe.stages[stage]
    if options.steps is not None:
        config = replace(config, steps=options.steps)
    valid = None if options.valid is None else ValidationSongs(options.valid)
    torch.manual_seed(config.seed)
    data = MixingDataset(options.pools, config.frames, config.batch, config.seed, config.real_weight)
    trainer = Trainer(STAGES[stage](recipe, config, valid, options.out), config, options.out / stage, log)

    def source(step: int) -> Iterator[Tensor]:
        return batches(data, step, options.background)

    outcome = trainer.run(source)
    if stage == "lm":
        export(recipe, options.out, options.out / "model")
        log(f"the model is in {options.out / 'model'}")
    return outcome


def export(recipe: Recipe, out: Path, folder: Path) -> None:
    """The best weights of the stages in ``out``, put together as a model that ``streamsep.load`` reads."""
    net = Net(recipe.model)
    load_weights(out / "lm" / BEST, net)
    save_model(folder, net)


Make = Callable[[Recipe, StageConfig, ValidationSongs | None, Path], Stage]


def _guide(recipe: Recipe, config: StageConfig, valid: ValidationSongs | None, out: Path) -> Stage:
    return GuideStage(Trunk(recipe.model.condition), config, valid)


def _codec(recipe: Recipe, config: StageConfig, valid: ValidationSongs | None, out: Path) -> Stage:
    return CodecStage(Codec(recipe.model.codec), config, valid)


def _lm(recipe: Recipe, config: StageConfig, valid: ValidationSongs | None, out: Path) -> Stage:
    net = Net(recipe.model)
    load_weights(out / "guide" / BEST, net.trunk)
    load_weights(out / "codec" / BEST, net.codec)
    return LMStage(net, config, valid)


STAGES: dict[str, Make] = {"guide": _guide, "codec": _codec, "lm": _lm}
