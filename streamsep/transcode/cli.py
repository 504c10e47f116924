"""``streamsep codec``: arguments in, exit code out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from streamsep.errors import OptionError

HELP = """Turn sound into tokens and back, and see what is lost.

\b
Examples:
  streamsep codec roundtrip song.wav -o out
  streamsep codec encode song.wav -o song.npz
  streamsep codec decode song.npz -o again.wav
  streamsep codec verify golden/
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Option("--codec", metavar="NAME", help="A model, an imported codec, or the path of one.")]
Books = Annotated[
    int | None, typer.Option(metavar="N", help="Write only the first N codebooks.", show_default="all of them")
]
Semantic = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="H-Codec-2.0's teacher: a folder with a HuBERT, or module:name."),
]
Piece = Annotated[float, typer.Option(metavar="N", help="Seconds that an H-Codec-2.0 codes together.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist already.")]
Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")]


@app.command()
def encode(
    sound: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="TOKENS", help="Where to: .npz or .safetensors.")],
    codec: Name = "tiny",
    codebooks: Books = None,
    semantic: Semantic = None,
    piece: Piece = 30.0,
    device: Device = "cpu",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn a sound file into tokens.

    The codec of a model streams: 25 tokens a second, mono or stereo, constant memory whatever the length. An imported
    H-Codec-2.0 codes pieces of 30 s, mixed down to mono, and needs a HuBERT for its semantic tokens (pip install
    'streamsep[semantic]', a local copy of bosonai/hubert_base).

    \b
    Examples:
      streamsep codec encode song.wav -o song.npz
      streamsep codec encode song.wav -o envelopes.safetensors --codebooks 4
      streamsep codec encode song.wav -o song.npz --codec hcodec-2.0 --semantic models/hubert_base
    """
    from streamsep.transcode.codecs import open_codec
    from streamsep.transcode.run import encode_file, summary
    from streamsep.transcode.tokens import check_output, write_tokens

    check_output(out, overwrite)
    coder = open_codec(codec, semantic, piece, device.lower())
    with _bar("encoding") as step:
        tokens = encode_file(sound, coder, codebooks, step)
    write_tokens(out, tokens, overwrite)
    _say({**summary(sound, tokens), "out": str(out)}, as_json)


@app.command()
def decode(
    tokens: Annotated[Path, typer.Argument(metavar="TOKENS", help="A token file.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to: .wav or .flac.")],
    codec: Name = "tiny",
    bits: Annotated[str, typer.Option(metavar="BITS", help="16, 24 or f32 (wav only).")] = "24",
    device: Device = "cpu",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn tokens back into sound.

    The sound has the codec's rate (48 kHz) and the length of what was encoded. Only the codec that wrote the tokens
    can read them; any other is refused.

    \b
    Examples:
      streamsep codec decode song.npz -o song-decoded.wav
      streamsep codec decode song.npz -o song-decoded.flac --codec hcodec-2.0
    """
    from streamsep.transcode.codecs import open_codec
    from streamsep.transcode.run import decode_file, summary

    if out.suffix.lower() not in (".wav", ".flac"):
        raise OptionError(f"'{out}' is no name of a sound file that can be written here; let it end in .wav or .flac.")
    coder = open_codec(codec, None, device=device.lower())
    with _bar("decoding") as step:
        done = decode_file(tokens, coder, out, bits.lower(), overwrite, step)
    _say({**summary(tokens, done), "out": str(out)}, as_json)


@app.command()
def roundtrip(
    sound: Annotated[Path, typer.Argument(metavar="FILE", help="A sound file.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for sound, tokens, picture.", show_default="none"),
    ] = None,
    codec: Name = "tiny",
    codebooks: Books = None,
    semantic: Semantic = None,
    piece: Piece = 30.0,
    device: Device = "cpu",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Encode and decode a sound file, and say what is left of it.

    SI-SDR is the median over seconds louder than -50 dBFS; it asks for the waveform, phase and all. The log-spectral
    distance asks for the spectrum alone (2048-point STFT, floor 80 dB below the second's loudest bin). With -o, DIR
    gets the decoded sound, its tokens and a picture: spectrograms before, after, and their difference (first minute).

    \b
    Examples:
      streamsep codec roundtrip song.wav
      streamsep codec roundtrip song.wav -o out --codebooks 4
      streamsep codec roundtrip song.wav -o out --codec hcodec-2.0 --semantic models/hubert_base --json
    """
    from streamsep.transcode.codecs import open_codec
    from streamsep.transcode.run import RoundtripFiles, roundtrip_file

    coder = open_codec(codec, semantic, piece, device.lower())
    files = RoundtripFiles(out, sound.stem, overwrite)
    with _bar("coding") as step:
        report = roundtrip_file(sound, coder, codebooks, files, step)
    _say({**report, "out": None if out is None else str(out)}, as_json)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Reference vectors: JSON and safetensors.")],
    tolerance: Annotated[float, typer.Option(metavar="X", help="Largest difference allowed.")] = 1e-4,
    as_json: Json = False,
) -> None:
    """Run reference vectors of an H-Codec-2.0 and print the largest difference of every stage.

    A case is a JSON file with config, weights_file, io_file and perhaps inputs_from; units.json holds single modules.
    Codes must be equal, numbers within the tolerance. Exit code 1 when a stage is beyond it.

    \b
    Examples:
      streamsep codec verify golden/
      streamsep codec verify golden/ --tolerance 1e-5 --json
    """
    from streamsep.codec.hcodec2.vectors import compare_folder
    from streamsep.transcode.tables import print_differences

    found = list(compare_folder(folder))
    beyond = [each for each in found if not each.within(tolerance)]
    if as_json:
        rows = [{**vars(each), "within": each.within(tolerance)} for each in found]
        typer.echo(json.dumps({"tolerance": tolerance, "beyond": len(beyond), "stages": rows}, indent=2))
    else:
        print_differences(found, tolerance)
    if beyond:
        raise typer.Exit(1)


def _say(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    line = (
        f"{report['sound']}: {report['seconds']:.1f} s, {report['tokens']} tokens of {report['codebooks']} codebooks, "
        f"{report['bits_per_second'] / 1000:.2f} kbit/s"
    )
    if report.get("si_sdr_db") is not None:
        line += f", SI-SDR {report['si_sdr_db']:+.1f} dB"
        line += f", log-spectral distance {report['log_spectral_distance_db']:.1f} dB"
    if report["out"] is not None:
        line += f" → {report['out']}"
    typer.echo(line)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[float], None]]:
    """A function that shows how many seconds of sound are done, on a terminal."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    with console.status(what) as status:
        yield lambda seconds: status.update(f"{what}: {seconds:.0f} s")
