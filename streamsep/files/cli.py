"""``streamsep separate``: arguments in, exit code out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from streamsep.files.options import SeparateOptions, parse_stems


def separate(
    songs: Annotated[list[Path], typer.Argument(metavar="SONG", help="Sound files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the stems: DIR/<song>/<stem>.")],
    stems: Annotated[str | None, typer.Option(metavar="A,B", help="Write only these stems.")] = None,
    two_stems: Annotated[
        str | None, typer.Option(metavar="STEM", help="Write STEM and no_STEM, which is the song without it.")
    ] = None,
    format: Annotated[str, typer.Option(metavar="FORMAT", help="wav, flac, mp3 or ogg.")] = "wav",
    bits: Annotated[
        str | None, typer.Option(metavar="BITS", help="16, 24 or f32 (wav); 16 or 24 (flac).", show_default="24")
    ] = None,
    render: Annotated[
        str, typer.Option(metavar="HOW", help="mask: stems sum to the song. codec: the decoder's own sound.")
    ] = "mask",
    mode: Annotated[
        str, typer.Option(metavar="MODE", help="streaming, or paper: stem after stem over whole segments.")
    ] = "streaming",
    lookahead: Annotated[
        int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2. More is better and later.")
    ] = 0,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Draw tokens at random with this seed.", show_default="greedy")
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")] = "tiny",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace stems that exist already.")] = False,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Threads of the model.", show_default="the engine's choice")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Separate songs into vocals, drums, bass and other.

    Reads wav, flac, mp3, ogg, opus, m4a, mp4 and more, 8 to 192 kHz, 1 to 8 channels, of any length. Stems have the
    song's rate, channels and length to the sample. More than two channels are separated in pairs (1-2, 3-4, ...).
    Nothing is overwritten unless asked for. --mode paper is the arrangement of arXiv 2604.09371, offline, and needs a
    model that `streamsep train paper` made. Exit code 2 when any song failed; the others are done all the same.

    \b
    Examples:
      streamsep separate song.mp3 -o stems
      streamsep separate song.flac -o karaoke --two-stems vocals --format mp3
      streamsep separate ~/music/album -o stems --stems drums,bass --bits f32
      streamsep separate song.wav -o stems --lookahead 2 --json
      streamsep separate song.wav -o stems --mode paper --model runs/model --seed 1
    """
    options = SeparateOptions(
        out=out,
        stems=parse_stems(stems),
        two_stems=two_stems.strip().lower() if two_stems else None,
        format=format.lower(),
        bits=bits.lower() if bits else None,
        render=render.lower(),
        lookahead=lookahead,
        seed=seed,
        model=model,
        device=device.lower(),
        overwrite=overwrite,
        threads=threads,
        mode=mode.lower(),
    )
    # Not before the options are known to be good: what follows reads files and, in the end, loads torch.
    from streamsep.files.batch import separate_files
    from streamsep.files.progress import Progress

    progress = Progress(quiet=as_json)
    report = separate_files(songs, options, progress)
    progress.summary(len(report.songs), len(report.failures))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    if report.failures:
        raise typer.Exit(2)
