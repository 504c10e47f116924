"""From options to a finished stage: recipe, data, nets, loop. The one place that knows all stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from streamsep.codec.model import Codec
from streamsep.data.dataset import available_cores
from streamsep.data.mixing import MixingDataset
from streamsep.engine.separator import find_model
from streamsep.errors import OptionError
from streamsep.model.checkpoint import load_model, save_model
from streamsep.model.grow import deepen, shared, zoomed
from streamsep.model.net import Net
from streamsep.model.trunk import Trunk
from streamsep.paper.checkpoint import save_paper
from streamsep.paper.net import PaperNet
from streamsep.train.batches import batches
from streamsep.train.checkpoint import load_weights
from streamsep.train.codec import CodecStage
from streamsep.train.guide import GuideStage
from streamsep.train.lm import LMStage
from streamsep.train.loop import BEST, RANK_SEED, Log, Outcome, Trainer
from streamsep.train.memory import keep_freed_memory
from streamsep.train.paper import PaperStage
from streamsep.train.precision import training_dtype
from streamsep.train.recipe import Recipe, StageConfig, load_recipe
from streamsep.train.stage import Stage
from streamsep.train.validation import ValidationSongs


@dataclass(frozen=True)
class TrainOptions:
    """What the command line asks for; what is None is the recipe's, or torch's own."""

    recipe: str
    pools: tuple[Path, ...]
    valid: Path | None
    out: Path
    steps: int | None = None
    threads: int | None = None
    precision: str | None = None
    compile: bool | None = None
    init: str | None = None  # a model to begin with: a shipped name or a folder
    workers: int | None = None  # processes that mix songs, 0: none of their own; by the device when None


def train(stage: str, options: TrainOptions, log: Log = print) -> Outcome:
    """Run one stage (``guide``, ``codec``, ``lm`` or ``paper``) to its end, from where it stands."""
    keep_freed_memory()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    recipe, start = load_recipe(options.recipe), starting_model(options)
    if start is not None:  # its codec comes with it, of whatever shape
        recipe = replace(recipe, model=replace(recipe.model, codec=start.config.codec))
    given = {name: getattr(options, name) for name in ("steps", "precision", "compile")}
    config = replace(recipe.stages[stage], **{name: value for name, value in given.items() if value is not None})
    accelerator = Accelerator()
    device = accelerator.device
    if not accelerator.is_main_process:
        log = _silent
    if recipe.after and start is None:
        log(f"from nothing, though the recipe goes on from '{recipe.after}': --init gives its model, `all` trains it")
    training_dtype(config.precision, device)  # says now what is wrong with it
    valid = None if options.valid is None else ValidationSongs(options.valid, limit=config.valid_songs, device=device)
    torch.manual_seed(config.seed)
    data = mixtures(options, replace(config, seed=config.seed + RANK_SEED * accelerator.process_index))
    if stage == "paper":
        made: Stage = PaperStage(PaperNet(recipe.paper_model, paper_codec(recipe, options.out, start)), config, valid)
    else:
        grown = None if start is None else _grown(start, recipe, options.init)
        made = STAGES[stage](recipe, config, valid, options.out, grown)
    judge = "" if valid is None or options.valid is None else f"{len(valid.songs)} songs of '{options.valid.name}'"
    trainer = Trainer(made, config, options.out / stage, log, judge)

    outcome = trainer.run(source(options, data, device))
    if not accelerator.is_main_process:
        return outcome
    if stage == "lm":
        export(recipe, options.out, options.out / "model")
        log(f"the model is in {options.out / 'model'}")
    if stage == "paper":
        net = PaperNet(recipe.paper_model)
        load_weights(options.out / stage / BEST, net)
        save_paper(options.out / "model", net)
        log(f"the paper model is in {options.out / 'model'}; streamsep separate --mode paper --model runs it")
    return outcome


def _silent(_: str) -> None:
    """The log of every process but the first."""


def source(options: TrainOptions, data: MixingDataset, device: torch.device) -> Callable[[int], Iterator[Tensor]]:
    """Step → the batches from it on. One process mixes songs beside a CPU that trains; a GPU eats what nearly all cores
    can mix.
    """
    on_gpu = device.type == "cuda"
    usual = max(1, available_cores() - 2) if on_gpu else 1
    workers = usual if options.workers is None else options.workers
    return lambda step: batches(data, step, workers, pinned=on_gpu)


def mixtures(options: TrainOptions, config: StageConfig) -> MixingDataset:
    """The mixtures of a run; over the last steps mostly whole songs."""
    settle = round(config.steps * (1 - config.settled))
    return MixingDataset(options.pools, config.frames, config.batch, config.seed, config.mixing, settle)


def starting_model(options: TrainOptions) -> Net | None:
    """The model that training begins with, where one is given."""
    return None if options.init is None else load_model(find_model(options.init))


def paper_codec(recipe: Recipe, out: Path, start: Net | None) -> Codec:
    """The trained codec that a paper model builds on: that of the model to begin with, or of the stage before.

    Raises OptionError when it is not there.
    """
    if start is not None:
        return start.codec
    codec = Codec(recipe.model.codec)
    load_weights(out / "codec" / BEST, codec)
    return codec


def export(recipe: Recipe, out: Path, folder: Path) -> None:
    """The best weights in ``out`` as a model that ``streamsep.load`` reads."""
    net = Net(recipe.model).eval()
    load_weights(out / "lm" / BEST, net)
    save_model(folder, net, int8=recipe.int8)


def _guide(recipe: Recipe, config: StageConfig, valid: ValidationSongs | None, out: Path, start: Net | None) -> Stage:
    return GuideStage(Trunk(recipe.model.condition) if start is None else start.trunk, config, valid)


def _codec(recipe: Recipe, config: StageConfig, valid: ValidationSongs | None, out: Path, start: Net | None) -> Stage:
    return CodecStage(Codec(recipe.model.codec) if start is None else start.codec, config, valid)


def _lm(recipe: Recipe, config: StageConfig, valid: ValidationSongs | None, out: Path, start: Net | None) -> Stage:
    net = Net(recipe.model) if start is None else start
    for stage, part in (("guide", net.trunk), ("codec", net.codec)):
        weights = out / stage / BEST
        if start is None or weights.is_file():
            load_weights(weights, part)
    return LMStage(net, config, valid)


Make = Callable[[Recipe, StageConfig, ValidationSongs | None, Path, Net | None], Stage]
STAGES: dict[str, Make] = {"guide": _guide, "codec": _codec, "lm": _lm}


def _grown(net: Net, recipe: Recipe, init: str | None) -> Net:
    """The model ``init`` that training begins with, grown to the recipe's trunk where that is larger.

    Raises OptionError when it is not of the recipe's shape.
    """
    had, asked = net.config.condition, recipe.model.condition
    if had.layers < asked.layers <= 2 * had.layers:
        net = deepen(net, asked.layers)
    if asked.zoom and not had.zoom:
        net = zoomed(net, asked.zoom)
    if asked.shared and not had.shared and len(asked.shared) == had.tokens:
        net = shared(net, asked.shared)
    if replace(net.config, name=recipe.model.name) != recipe.model:
        raise OptionError(f"the model '{init}' is not of the recipe's shape; choose the recipe it was trained with.")
    return net.requires_grad_(True).train()
