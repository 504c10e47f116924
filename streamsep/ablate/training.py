"""From a pool to trained variants. Knows recipes and folders; measures nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from accelerate import Accelerator

from streamsep.ablate.stage import AblationNets, AblationStage
from streamsep.codec.model import Codec
from streamsep.train.checkpoint import load_weights
from streamsep.train.loop import BEST, Trainer
from streamsep.train.memory import keep_freed_memory
from streamsep.train.recipe import load_recipe
from streamsep.train.run import TrainOptions, mixtures, paper_codec, source, starting_model
from streamsep.train.validation import ValidationSongs

STAGE = "ablation"


def train_variants(options: TrainOptions, log: Callable[[str], None]) -> AblationNets:
    """Train all variants in ``options.out/ablation``, from where they stand, and return them ready to run."""
    keep_freed_memory()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    config = recipe.stages["paper"]
    if options.steps is not None:
        config = replace(config, steps=options.steps)
    config = replace(config, score_every=config.steps)  # chosen by nothing: all are measured where they end
    codec: Codec = paper_codec(recipe, options.out, starting_model(options))
    nets = AblationNets(recipe, codec, config.seed)
    device = Accelerator().device
    valid = None if options.valid is None else ValidationSongs(options.valid, device=device)
    data = mixtures(options, config)
    trainer = Trainer(AblationStage(nets, config, valid), config, options.out / STAGE, log)
    trainer.run(source(options, data, device))
    load_weights(options.out / STAGE / BEST, nets)
    return nets.eval()
