"""``streamsep evaluate``: arguments in, exit code out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from streamsep.errors import OptionError


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A song's folder with its stems, or a folder of such.")],
    lookahead: Annotated[
        str, typer.Option(metavar="K,K", help="Lookaheads to measure, out of -1, 0, 1, 2 (frames of 40 ms).")
    ] = "0",
    seconds: Annotated[
        float | None, typer.Option(metavar="N", help="Only the first N seconds of each song.", show_default="all")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N songs by name.", show_default="all")
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")] = "tiny",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    brief: Annotated[bool, typer.Option("--brief", help="Only the totals, not each song.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Measure separation against true stems.

    A song is a folder with any of vocals, drums, bass and other as wav, flac, ogg, opus, mp3, ... A stem that is
    missing is silence; the mixture is the sum of the stems.

    SI-SDR (Le Roux et al. 2019, both channels joined) is the median over the one-second windows in which a stem is
    active: louder than -50 dBFS RMS and louder than the mixture minus 30 dB. Beside the model's ways of decoding
    (hard tokens, soft latents, guide head, and fused, the default) stand the mixture itself and the ideal ratio mask,
    which no mask renderer can beat by much. The improvement over the mixture is taken window by window. For a stem
    that a song does not have, the level of its estimate relative to the mixture is given instead.

    \b
    Examples:
      streamsep evaluate songs/
      streamsep evaluate songs/ --lookahead -1,0,1,2 --brief
      streamsep evaluate songs/first --seconds 30 --json
    """
    from streamsep.evaluate.run import EvaluateOptions, evaluate_songs, steps
    from streamsep.evaluate.songs import find_songs

    options = EvaluateOptions(parse_lookaheads(lookahead), seconds, limit)
    songs = find_songs(folder)

    from rich.console import Console
    from rich.progress import Progress

    from streamsep.evaluate.estimator import ModelEstimator
    from streamsep.evaluate.tables import print_report

    estimator = ModelEstimator(model, device.lower())
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=steps(songs, options))
        begun = False

        def step(name: str) -> None:
            nonlocal begun
            bar.update(task, description=name, advance=int(begun))
            begun = True

        result = evaluate_songs(songs, estimator, options, step)
    report = {"model": model, "device": device, **result.to_dict(brief)}
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        print_report(Console(highlight=False), report, brief)
    for failure in result.failures:
        errors.print(f"streamsep: {failure}", markup=False)
    if result.failures:
        raise typer.Exit(2)


def parse_lookaheads(text: str) -> tuple[int, ...]:
    """``"-1, 0"`` → (-1, 0), each once. Raises OptionError for what is no whole number."""
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise OptionError(f"--lookahead '{text}' is no list of whole numbers; write for example -1,0,1,2.") from error
