"""``python -m clients.python``: a file to a server, its stems into files."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from clients.python.errors import ClientError
from clients.python.files import separate_file
from streamsep.protocol import OUTPUTS


def main(
    song: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file: wav, flac, mp3, ogg.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the stems: DIR/<song>/<stem>.")],
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the server.")] = "ws://127.0.0.1:8765/v1",
    stems: Annotated[str, typer.Option(metavar="A,B", help="Only these stems; mix is their sum.")] = ",".join(
        OUTPUTS[:-1]
    ),
    lookahead: Annotated[int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2.")] = 0,
    render: Annotated[str, typer.Option(metavar="HOW", help="mask or codec.")] = "mask",
    token: Annotated[str | None, typer.Option(envvar="STREAMSEP_TOKEN", help="Token of the server.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace stems that exist already.")] = False,
) -> None:
    """Separate a file on a server.

    The stems are 32-bit float wav files of the file's rate, channels and length, the same samples that
    `streamsep separate` computes. A lost connection is taken up again by itself.

    \b
    Examples:
      python -m clients.python song.wav -o stems
      python -m clients.python song.flac -o stems --url wss://stems.example/v1 --stems vocals,drums
    """
    names = tuple(name.strip() for name in stems.split(",") if name.strip())
    started = time.monotonic()

    def notice(text: str) -> None:
        print(text, file=sys.stderr)

    try:
        paths = asyncio.run(separate_file(song, url, out, names, lookahead, render, token, overwrite, notice))
    except* ClientError as errors:
        print(_first(errors), file=sys.stderr)
        raise typer.Exit(2) from None
    print(f"{song} → {out / song.stem}: {', '.join(paths)} ({time.monotonic() - started:.1f} s)")


def _first(errors: BaseExceptionGroup[ClientError]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="python -m clients.python")
