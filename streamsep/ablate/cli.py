"""``streamsep ablate``: arguments in, exit code out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from streamsep.errors import OptionError


def ablate(
    pool: Annotated[list[Path], typer.Argument(metavar="POOL", help="Songs to train on, one folder or several.")],
    test: Annotated[Path, typer.Option(metavar="DIR", help="Held-out songs to measure on, as `evaluate` takes them.")],
    init: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Whose codec to build on.", show_default="OUT/codec")
    ] = None,
    recipe: Annotated[str, typer.Option(metavar="RECIPE", help="Sizes and steps of every variant.")] = "ablation",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of checkpoints and log.")] = Path("runs"),
    steps: Annotated[int | None, typer.Option(metavar="N", help="Another length.", show_default="the recipe's")] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="N", help="Only the first N seconds of each song.", show_default="all")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N songs by name.", show_default="all")
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Threads.", show_default="one for each core")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Repeat the ablations of arXiv 2604.09371 in small.

    Trains, side by side on the same batches and for as many steps, the paper's arrangement (Conformer, sequential
    order, semantic and acoustic tokens) and four variants that differ in one thing: a linear adapter instead of the
    Conformer, wavefront and parallel order of the stems, acoustic tokens alone. Then measures them on held-out songs:
    SI-SDR improvement, tokens told right, means and deviations over songs, paired Wilcoxon tests with Holm's
    correction.

    Order here says what a stem's tokens see of other stems over a whole segment: sequential all of the stems before,
    wavefront what these wrote up to the same moment, parallel nothing. It is not the order of the streaming model's
    depth transformer, which orders the codes within one frame.

    Training goes on from OUT/ablation/last.pt when that is there; a finished one is only measured again.

    \b
    Examples:
      streamsep ablate pool --test songs --init tiny
      streamsep ablate pool --test songs --init tiny --steps 2000 --out runs/long --json > ablation.json
    """
    if steps is not None and steps < 1:
        raise OptionError(f"--steps {steps} trains nothing; give 1 or more.")
    if threads is not None and threads < 1:
        raise OptionError(f"--threads {threads} does nothing; give 1 or more.")

    from streamsep.ablate.run import AblateOptions
    from streamsep.ablate.run import ablate as run
    from streamsep.ablate.tables import print_report
    from streamsep.console import for_tables
    from streamsep.train.run import TrainOptions

    options = AblateOptions(
        TrainOptions(recipe, tuple(pool), None, out, steps, threads, init=init), test, seconds, limit
    )
    found = run(options, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_report(for_tables(), found)
    for failure in found["failures"]:
        typer.echo(f"streamsep: {failure}", err=True)
    if found["failures"]:
        raise typer.Exit(2)
