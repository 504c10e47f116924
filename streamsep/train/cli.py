"""``streamsep train``: arguments in, exit code out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Train guide, codec and language model, in this order.

\b
Examples:
  streamsep train guide --recipe tiny --pool pool --valid valid
  streamsep train codec --recipe tiny --pool pool --valid valid
  streamsep train lm --recipe tiny --pool pool --valid valid
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipeName = Annotated[str, typer.Option(metavar="RECIPE", help="A shipped recipe or the path of a TOML file.")]
Pools = Annotated[list[Path], typer.Option(metavar="DIR", help="Songs to train on; may be given more than once.")]
Valid = Annotated[Path | None, typer.Option(metavar="DIR", help="Held-out songs that checkpoints are chosen by.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of checkpoints, log, pictures and sounds.")]
Steps = Annotated[int | None, typer.Option(metavar="N", help="Another length.", show_default="the recipe's")]
Init = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Begin with this model's weights.", show_default="from nothing")
]
Threads = Annotated[int | None, typer.Option(metavar="N", help="Threads.", show_default="one for each core")]


@app.command()
def guide(
    pool: Pools,
    recipe: RecipeName = "tiny",
    valid: Valid = None,
    out: Out = Path("runs"),
    steps: Steps = None,
    init: Init = None,
    threads: Threads = None,
) -> None:
    """Train the Conformer and its guide head, which the language model builds on.

    Goes on from OUT/guide/last.pt when that is there; the best weights are OUT/guide/best.safetensors.

    \b
    Examples:
      streamsep train guide --recipe tiny --pool pool --valid valid
      streamsep train guide --recipe my.toml --pool pool --pool musdb/train --out runs/mine --steps 20000
    """
    _train("guide", pool, recipe, valid, out, steps, init, threads)


@app.command()
def codec(
    pool: Pools,
    recipe: RecipeName = "tiny",
    valid: Valid = None,
    out: Out = Path("runs"),
    steps: Steps = None,
    init: Init = None,
    threads: Threads = None,
) -> None:
    """Train the codec: first the semantic path, then the acoustic path and the decoder.

    \b
    Examples:
      streamsep train codec --recipe tiny --pool pool --valid valid
    """
    _train("codec", pool, recipe, valid, out, steps, init, threads)


@app.command()
def lm(
    pool: Pools,
    recipe: RecipeName = "tiny",
    valid: Valid = None,
    out: Out = Path("runs"),
    steps: Steps = None,
    init: Init = None,
    threads: Threads = None,
) -> None:
    """Train the language model on the codec's tokens, then write the whole model to OUT/model.

    Needs OUT/guide and OUT/codec, trained before.

    \b
    Examples:
      streamsep train lm --recipe tiny --pool pool --valid valid
      streamsep train lm --recipe tiny --pool my-songs --valid valid --init tiny --out runs/more
    """
    _train("lm", pool, recipe, valid, out, steps, init, threads)


def _train(
    stage: str,
    pool: list[Path],
    recipe: str,
    valid: Path | None,
    out: Path,
    steps: int | None,
    init: str | None,
    threads: int | None,
) -> None:
    from streamsep.errors import OptionError

    if steps is not None and steps < 1:
        raise OptionError(f"--steps {steps} trains nothing; give 1 or more.")
    if threads is not None and threads < 1:
        raise OptionError(f"--threads {threads} does nothing; give 1 or more.")

    from streamsep.train.run import TrainOptions, train

    train(
        stage, TrainOptions(recipe, tuple(pool), valid, out, steps, threads, init), lambda text: print(text, flush=True)
    )
