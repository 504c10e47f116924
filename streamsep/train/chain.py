"""All stages of a recipe, after those of the recipes that it goes on from. Knows their order; trains nothing itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from streamsep.errors import OptionError
from streamsep.train.loop import Log
from streamsep.train.recipe import load_recipe
from streamsep.train.run import TrainOptions, train


def chain(recipe: str, init: str | None = None) -> list[str]:
    """``recipe`` and those before it, the first one first.

    What comes before the model ``init`` is left out; ``recipe`` stands alone when it does not go on from one so called.
    Raises OptionError when recipes go round in a circle.
    """
    found = [recipe]
    while (before := load_recipe(found[0]).after) and before != init:
        if before in found:
            raise OptionError(f"the recipe '{found[0]}' goes on from '{before}', which goes on from it; mend one.")
        found.insert(0, before)
    return [recipe] if init and not before else found


def train_all(options: TrainOptions, log: Log = print) -> Path:
    """Every stage of every recipe of the chain, each recipe in a folder of its own in ``options.out``, named like it.

    Goes on where it was stopped. Returns the folder of the last model. Raises what :func:`train` raises.
    """
    names, init, out = chain(options.recipe, options.init), options.init, options.out
    leads = Accelerator().is_main_process
    for number, name in enumerate(names, 1):
        out = options.out / Path(name).stem
        for stage in load_recipe(name).own:
            if leads:
                log(f"recipe {Path(name).stem} ({number} of {len(names)}), {stage}")
            train(stage, replace(options, recipe=name, out=out, init=init), log)
            Accelerator().wait_for_everyone()  # the first process writes what the others read
        init = str(out / "model")
    return out / "model"
