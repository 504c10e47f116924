"""``streamsep demo``: arguments in, exit code out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for stems, picture, report.")] = Path(
        "streamsep-demo"
    ),
    seconds: Annotated[float, typer.Option(metavar="N", help="Length of the song.")] = 20.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, another song.")] = 0,
    lookahead: Annotated[
        int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2. More is better and later.")
    ] = 0,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")] = "tiny",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    fast: Annotated[bool, typer.Option("--fast", help="Do not wait for the song to play.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Compose a song, separate it in real time, show how well it went.

    The song is made by built-in synthesizers, so its true stems are known. It is streamed frame by frame, at the pace
    at which it would play; then stems, true stems and a picture are written, and the stems are measured against the
    truth. A folder of an earlier demo is written over, any other is not.

    \b
    Examples:
      streamsep demo
      streamsep demo --seed 3 --lookahead 2 --out another
      streamsep demo --fast --json
    """
    from streamsep.demo.run import DemoOptions, run_demo

    options = DemoOptions(out, seconds, seed, lookahead, model, device.lower(), not fast)

    from rich.console import Console

    from streamsep.demo.report import print_report

    report = run_demo(options, Console(stderr=True, highlight=False, quiet=as_json))
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        print_report(Console(highlight=False, soft_wrap=True), report, out)
