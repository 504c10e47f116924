"""``streamsep evaluate``: arguments in, exit code out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamsep.errors import OptionError

if TYPE_CHECKING:
    from rich.console import Console


def evaluate(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="MUSDB18-HQ, a song's folder with its stems, or a folder of such.")
    ],
    lookahead: Annotated[
        str, typer.Option(metavar="K,K", help="Lookaheads to measure, out of -1, 0, 1, 2 (frames of 40 ms).")
    ] = "0",
    seconds: Annotated[
        float | None, typer.Option(metavar="N", help="Only the first N seconds of each song.", show_default="all")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N songs by name.", show_default="all")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only songs below this folder.", show_default="test, where train is beside it"
        ),
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")] = "tiny",
    baseline: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Another model to compare with; may be repeated.")
    ] = None,
    system: Annotated[
        list[str] | None, typer.Option(metavar="SYSTEM", help="Another separator (see above); may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write a report: index.html and results.json.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="M,M", help="sdr, bss, spectral, leakage, perceptual.", show_default="all with --out"),
    ] = None,
    nisqa: Annotated[
        Path | None, typer.Option(metavar="FILE", help="nisqa.tar, the weights of NISQA 2.", show_default="without")
    ] = None,
    exhibits: Annotated[int, typer.Option(metavar="N", help="Songs to look at and listen to in the report.")] = 3,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also silence, loudness, bleed, and own history against none.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes, one thread each.", show_default="one for each core")
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    brief: Annotated[bool, typer.Option("--brief", help="Only the totals, not each song.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Measure separation against true stems.

    A song is a folder with any of vocals, drums, bass and other as wav, flac, ogg, opus, mp3, ..., a song of a training
    pool, or a .stem.mp4. A stem that is missing is silence; the mixture is the sum of the stems.

    SI-SDR (Le Roux et al. 2019, both channels joined) is the median over the one-second windows in which a stem is
    active: louder than -50 dBFS RMS and louder than the mixture minus 30 dB. Beside the model's ways of decoding
    (hard tokens, soft latents, guide head, and fused, the default) stand the mixture itself and the ideal ratio mask,
    which masks alone cannot beat by much. The improvement over the mixture is taken window by window. For a stem
    that a song does not have, the level of its estimate relative to the mixture is given instead.

    With --out, everything is measured: BSS Eval 4 (SDR, ISR, SIR, SAR as museval has them), the SDR of the MDX and SDX
    challenges, log-spectral distance, phase, leakage between stems, ViSQOL, DNSMOS and NISQA, with standard
    deviations and bootstrap intervals, Wilcoxon tests between systems, and two more oracles: masks of the true tokens
    and the codec's round trip. Finished songs are kept there: an interrupted run goes on where it was.

    A system is NAME=COMMAND with {input}, a wav file, and {output}, a folder for stems; NAME=python:module:function,
    called with the mixture [2, n] and the rate (PYTHONPATH=. where the module lies in this folder);
    NAME=python:module:function:ARGUMENT, whose function("ARGUMENT") gives such a callable; or, where installed,
    demucs[:MODEL], audio-separator[:MODEL] or hs-tasnet:CHECKPOINT.

    \b
    Examples:
      streamsep evaluate songs/
      streamsep evaluate songs/ --lookahead -1,0,1,2 --brief
      streamsep evaluate songs/first --seconds 30 --json
      streamsep evaluate musdb18hq --out report --workers 4
      streamsep evaluate songs/ -o report --baseline runs/old --system demucs
      streamsep evaluate songs/ -o report --system "mine=./separate.sh {input} {output}" --metrics sdr,bss
      streamsep evaluate songs/ --robustness --limit 10 --brief
    """
    from streamsep.data.systems import parse_system
    from streamsep.evaluate.entries import Plan
    from streamsep.evaluate.measures import FAMILIES, parse_families
    from streamsep.evaluate.run import EvaluateOptions
    from streamsep.evaluate.songs import find_songs
    from streamsep.evaluate.suite import Suite, run_suite

    families = (FAMILIES if out is not None else ()) if metrics is None else parse_families(metrics)
    options = EvaluateOptions(parse_lookaheads(lookahead), seconds, limit, families)
    for text in system or ():
        parse_system(text)  # says now, not from a worker, what is wrong with it
    systems, baselines = tuple(system or ()), tuple(baseline or ())
    plan = Plan(model, device.lower(), baselines, systems, options.lookaheads, token_oracles=out is not None)
    suite = Suite(str(data), plan, options, out, nisqa, _workers(workers, device.lower()), exhibits)
    songs = find_songs(data, split)

    from rich.console import Console

    from streamsep.console import for_tables
    from streamsep.evaluate.tables import print_measures, print_report, print_robustness

    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with _bar(errors) as progress:

        def check() -> dict[str, Any]:
            from streamsep.evaluate.robustness import measure_robustness

            return measure_robustness(songs[:limit], model, device.lower(), options, progress)

        result, report = run_suite(suite, songs, progress, check if robustness else None)
    if as_json:
        shown = {key: value for key, value in report.items() if key != "songs"} if brief else report
        typer.echo(json.dumps(shown, indent=2))
    else:
        console = for_tables()
        print_report(console, report, brief)
        print_measures(console, report)
        if report["robustness"] is not None:
            print_robustness(console, report["robustness"])
        if out is not None:
            console.print(f"report: {out / 'index.html'}, {out / 'results.json'}", markup=False, soft_wrap=True)
    for line in (*report["notes"], *result.failures):
        errors.print(f"streamsep: {line}", markup=False, soft_wrap=True)
    if result.failures:
        raise typer.Exit(2)


def parse_lookaheads(text: str) -> tuple[int, ...]:
    """``"-1, 0"`` → (-1, 0), each once. Raises OptionError for what is no whole number."""
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise OptionError(f"--lookahead '{text}' is no list of whole numbers; write for example -1,0,1,2.") from error


def _workers(wanted: int | None, device: str) -> int:
    """A GPU has one worker: several would share it and its memory."""
    from streamsep.data.dataset import available_cores

    if wanted is not None:
        return wanted
    return available_cores() if device == "cpu" else 1


@contextmanager
def _bar(errors: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A function that moves a progress bar: what is worked on, how much is done, of how much."""
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("")

        def progress(name: str, done: int, total: int) -> None:
            bar.update(task, description=escape(name), completed=done, total=total)

        yield progress
