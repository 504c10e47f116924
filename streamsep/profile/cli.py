"""``streamsep profile`` and its sweep: arguments in, exit code out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

PROFILE_HELP = """Show where every millisecond goes: stages of a frame, start, memory.

Streams music through one stream of the real model, 40 ms at a time, and times every stage. Fresh processes are started
to see how long it takes from launch to the first stem. The report of --json can be compared with a later one.

\b
Examples:
  streamsep profile
  streamsep profile --frames 1000 --plot profile.png --trace trace.json
  streamsep profile --json > old.json; streamsep profile --compare old.json
  streamsep profile --paced --frames 500 --threads 2 --song song.flac
  streamsep profile sweep songs/ --plot sweep.png
"""

app = typer.Typer(
    help=PROFILE_HELP,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")]
Threads = Annotated[int, typer.Option(metavar="N", help="Threads that compute.")]
Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a picture (PNG).", show_default="none")]


@app.callback()
def profile(
    context: typer.Context,
    frames: Annotated[int, typer.Option(metavar="N", help="Frames to time, 50 warming ones come on top.")] = 5_000,
    paced: Annotated[bool, typer.Option("--paced", help="At the pace of the music; else as fast as it goes.")] = False,
    lookahead: Annotated[int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2.")] = 0,
    render: Annotated[str, typer.Option(metavar="RENDER", help="mask or codec.")] = "mask",
    rate: Annotated[int, typer.Option(metavar="HZ", help="Rate of the stream; a --song keeps its own.")] = 48_000,
    song: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Music to stream, its first minute.", show_default="composed")
    ] = None,
    threads: Threads = 1,
    launches: Annotated[int, typer.Option(metavar="N", help="Fresh processes to time; 0 for none.")] = 3,
    model: Model = "tiny",
    device: Device = "cpu",
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a trace for Perfetto (ui.perfetto.dev).", show_default="none"),
    ] = None,
    plot: Plot = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An earlier report of --json.", show_default="none")
    ] = None,
    as_json: Json = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from streamsep.profile.run import ProfileOptions

    options = ProfileOptions(
        frames, model, device.lower(), render, lookahead, rate, threads, paced, launches, song, 500 if trace else 0
    )

    from rich.console import Console
    from rich.progress import Progress

    from streamsep.console import for_tables
    from streamsep.profile.chrome import write_trace
    from streamsep.profile.compare import compare as compare_reports
    from streamsep.profile.compare import read_report
    from streamsep.profile.picture import draw
    from streamsep.profile.run import profile as run_profile
    from streamsep.profile.tables import print_profile

    before = None if compare is None else read_report(compare)
    errors = Console(stderr=True, highlight=False, quiet=as_json)
    with Progress(console=errors, transient=True, refresh_per_second=2, disable=not errors.is_terminal) as bar:
        task = bar.add_task("frames", total=frames)
        done = run_profile(options, errors.print, lambda count: bar.update(task, completed=count))
    report = done.report
    if before is not None:
        report["compared"] = compare_reports(before, report)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        print_profile(for_tables(), report)
    if trace is not None:  # files come last: one that cannot be written does not cost the report
        write_trace(trace, done.rows)
    if plot is not None:
        draw(plot, done.frames.total, report)


@app.command("sweep")
def sweep(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A song's folder with its stems, or a folder of such.")],
    lookahead: Annotated[str, typer.Option(metavar="K,K", help="Lookaheads to try.")] = "-1,0,1,2",
    render: Annotated[str, typer.Option(metavar="R,R", help="Renders to try.")] = "mask,codec",
    model: Annotated[str, typer.Option(metavar="M,M", help="Models to try: shipped ones or paths.")] = "tiny",
    seconds: Annotated[
        float | None, typer.Option(metavar="N", help="Only the first N seconds of each song.", show_default="all")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N songs by name.", show_default="all")
    ] = None,
    threads: Threads = 1,
    device: Device = "cpu",
    plot: Plot = None,
    as_json: Json = False,
) -> None:
    """Latency against quality: every lookahead, render and model, on songs with true stems.

    The latency is measured by a click that goes in and is waited for; the median time of computing a frame is added.
    Quality is SI-SDR as streamsep evaluate measures it, of stems that were streamed frame by frame.

    \b
    Examples:
      streamsep profile sweep songs/
      streamsep profile sweep songs/ --limit 4 --seconds 30 --plot sweep.png
      streamsep profile sweep songs/ --render mask --model tiny,runs/model --json
    """
    from streamsep.evaluate.cli import parse_lookaheads
    from streamsep.evaluate.songs import find_songs
    from streamsep.profile.sweep import SweepOptions, steps
    from streamsep.profile.sweep import sweep as run_sweep

    models, renders = (tuple(part.strip() for part in text.split(",")) for text in (model, render))
    options = SweepOptions(
        models, parse_lookaheads(lookahead), renders, device.lower(), threads, seconds=seconds, limit=limit
    )
    songs = find_songs(folder)

    from rich.console import Console
    from rich.progress import Progress

    from streamsep.console import for_tables
    from streamsep.profile.sweep_report import draw_sweep, print_sweep

    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=steps(songs, options))
        report = run_sweep(songs, options, lambda text: bar.update(task, description=text, advance=1))
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        print_sweep(for_tables(), report)
    for failure in report["failures"]:
        errors.print(f"streamsep: {failure}", markup=False)
    if plot is not None:  # last: a file that cannot be written does not cost the report
        draw_sweep(plot, report)
    if report["failures"]:
        raise typer.Exit(2)
