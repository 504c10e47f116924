"""``python -m clients.python``: a file to a server, its stems into files; or line-in to a server, its mix out."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from clients.python.errors import ClientError
from clients.python.faders import Faders
from clients.python.files import separate_file
from clients.python.live import LiveOptions, play_live
from streamsep.protocol import OUTPUTS

STEMS = ",".join(OUTPUTS[:-1])


def main(
    song: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A sound file: wav, flac, mp3, ogg.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for the stems: DIR/<song>/<stem>.", show_default=False),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Line-in to the server, its mix to the loudspeaker.")] = False,
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the server.")] = "ws://127.0.0.1:8765/v1",
    stems: Annotated[str, typer.Option(metavar="A,B", help="Only these stems; mix is their sum.")] = STEMS,
    lookahead: Annotated[int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2.")] = 0,
    render: Annotated[str, typer.Option(metavar="HOW", help="mask or codec.")] = "mask",
    token: Annotated[str | None, typer.Option(envvar="STREAMSEP_TOKEN", help="Token of the server.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace stems that exist already.")] = False,
    source: Annotated[
        str | None, typer.Option("--input", metavar="DEVICE", help="Live: name or number of the input.")
    ] = None,
    speaker: Annotated[
        str | None, typer.Option("--output", metavar="DEVICE", help="Live: name or number of the output.")
    ] = None,
    gain: Annotated[
        list[str] | None, typer.Option(metavar="STEM=DB", help="Live: a fader; may be given again.")
    ] = None,
    mute: Annotated[list[str] | None, typer.Option(metavar="STEM", help="Live: leave a stem out.")] = None,
    solo: Annotated[list[str] | None, typer.Option(metavar="STEM", help="Live: this stem alone.")] = None,
    rate: Annotated[int, typer.Option(metavar="HZ", help="Live: sample rate of both devices.")] = 48_000,
    channels: Annotated[int, typer.Option(metavar="N", help="Live: 1 or 2.")] = 2,
    format: Annotated[str, typer.Option(metavar="HOW", help="Live: s16le, f32le or, for thin lines, opus.")] = "s16le",
) -> None:
    """Separate a file on a server, or live sound.

    A file's stems are 32-bit float wav files of its rate, channels and length, the same samples that
    `streamsep separate` computes (beside other sessions to -100 dBFS, unless the server runs with --exact). A lost
    connection is taken up again by itself. Live, lines on stdin move the faders: `vocals -12`, `mute drums`,
    `solo bass`, `reset`, `quit`.

    \b
    Examples:
      python -m clients.python song.wav -o stems
      python -m clients.python song.flac -o stems --url wss://stems.example/v1 --stems vocals,drums
      python -m clients.python --live --mute vocals
      python -m clients.python --live --input "USB Audio" --output HDMI --gain vocals=-12
    """

    def notice(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    for number in (signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ())):
        if signal.getsignal(number) is not signal.SIG_IGN:  # half-written files go, as they do after Ctrl-C
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        if live:
            if song is not None or out is not None:
                raise ClientError("--live takes no file; leave out FILE and -o, or leave out --live.")
            if stems != STEMS or overwrite:
                raise ClientError("--live plays the mix; leave out --stems and --overwrite, or leave out --live.")
            faders = Faders()
            orders = [*(gain or []), *(f"mute {stem}" for stem in mute or []), *(f"solo {stem}" for stem in solo or [])]
            for order in orders:
                faders.order(order)
            options = LiveOptions(url, source, speaker, rate, channels, format, lookahead, render, token)
            asyncio.run(play_live(options, faders, notice))
            return
        if song is None or out is None:
            raise ClientError("give a sound file and a folder for its stems with -o, or --live.")
        names = tuple(name.strip() for name in stems.split(",") if name.strip())
        started = time.monotonic()
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
