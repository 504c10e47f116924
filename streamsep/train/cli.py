"""``streamsep train``: arguments in, exit code out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamsep.choices import check_choice
from streamsep.errors import OptionError
from streamsep.train.recipe import STAGES


def train(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="guide, codec, lm, paper or all.")],
    pool: Annotated[list[Path], typer.Option(metavar="DIR", help="Songs to train on; may be given more than once.")],
    recipe: Annotated[
        str, typer.Option(metavar="RECIPE", help="A shipped recipe or the path of a TOML file.")
    ] = "tiny",
    valid: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Held-out songs that checkpoints are chosen by.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of checkpoints, log, pictures and sounds.")] = Path(
        "runs"
    ),
    steps: Annotated[int | None, typer.Option(metavar="N", help="Another length.", show_default="the recipe's")] = None,
    init: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Begin with this model's weights.", show_default="from nothing")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="P",
            help="Of matrix products (guide, lm): float32, bfloat16, or auto, what the hardware multiplies faster.",
            show_default="the recipe's",
        ),
    ] = None,
    compile: Annotated[
        bool | None,
        typer.Option(
            "--compile",
            help="Compile the trunk (guide, lm), as the shipped recipes do: a minute at first, then shorter steps.",
            show_default="the recipe's",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Threads.", show_default="one for each core")] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes that mix songs.", show_default="1; with a GPU all cores but 2"),
    ] = None,
) -> None:
    """Train one stage of a model: guide, codec and lm, in this order; or all of a recipe.

    guide is the Conformer and its guide head, which the language model builds on. codec is first the semantic path,
    then the acoustic path and the decoder. lm is the language model on the codec's tokens; it needs OUT/guide and
    OUT/codec, trained before, and writes the whole model to OUT/model.

    paper is the arrangement of arXiv 2604.09371 on OUT/codec or the codec of --init: stem after stem over whole
    segments, offline. It joins OUT/model; run it with `streamsep separate --mode paper --model OUT/model`. The recipe
    paper has the paper's sizes.

    all is every stage that the recipe speaks of, after those of the recipes that it goes on from, each recipe in
    OUT/RECIPE. With --init MODEL what comes before a recipe of that name is left out.

    A stage goes on from OUT/STAGE/last.pt when that is there; its best weights are OUT/STAGE/best.safetensors.

    \b
    Examples:
      streamsep train all --recipe tiny-start --pool pool --valid valid    # a first model in OUT/tiny-start/model
      streamsep train all --recipe tiny --pool pool --pool synth --valid valid    # the shipped one, from nothing
      streamsep train all --recipe base --pool pool --pool synth --valid valid --init tiny
      streamsep train guide --recipe tiny-start --pool pool --valid valid
      streamsep train guide --recipe my.toml --pool pool --pool musdb/train --out runs/mine --steps 20000
      streamsep train lm --recipe tiny --pool my-songs --valid valid --init tiny --out runs/more
      streamsep train paper --recipe paper --pool pool --valid valid --init tiny
      accelerate launch --num_processes 2 -m streamsep train guide --pool pool --valid valid    # two GPUs
    """
    check_choice("stage", stage, (*STAGES, "all"))
    if steps is not None and steps < 1:
        raise OptionError(f"--steps {steps} trains nothing; give 1 or more.")
    if threads is not None and threads < 1:
        raise OptionError(f"--threads {threads} does nothing; give 1 or more.")
    if workers is not None and workers < 0:
        raise OptionError(f"--workers {workers} is negative; give 0 or more.")

    from streamsep.train.chain import train_all
    from streamsep.train.run import TrainOptions
    from streamsep.train.run import train as run

    def log(text: str) -> None:
        print(text, flush=True)

    options = TrainOptions(recipe, tuple(pool), valid, out, steps, threads, precision, compile, init, workers)
    if stage == "all":
        train_all(options, log)
    else:
        run(stage, options, log)
