"""``streamsep data``: arguments in, exit code out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

HELP = """Make or import songs to train on.

\b
Examples:
  streamsep data compose pool --songs 300
  streamsep data import musdb18hq pool
  streamsep data pseudo-label ~/music pool --teacher demucs
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Step = Callable[[str, int, int], None]


@app.command()
def compose(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the songs, a folder each.")],
    songs: Annotated[int, typer.Option(metavar="N", help="How many.")] = 300,
    seconds: Annotated[float, typer.Option(metavar="N", help="How long each lasts.")] = 36.0,
    bank: Annotated[
        Path | None,
        typer.Option(metavar="INDEX", help="Index of recorded sounds.", show_default="built-in synthesizers"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed, other songs.")] = 1,
    split: Annotated[str, typer.Option(metavar="NAME", help="train, or valid and test: sounds held out.")] = "train",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes.", show_default="one for each core")
    ] = None,
    format: Annotated[str, typer.Option(metavar="FORMAT", help="npy to train on; flac or wav to hear.")] = "npy",
    real: Annotated[bool, typer.Option(help="Add the bank's whole songs, in pieces (split train only).")] = True,
) -> None:
    """Compose songs with known stems.

    Each song has a plan (tempo, key, chords, sections), drums, a bass line, accompaniment and vocals, played with the
    sounds of a bank (a JSON Lines index of notes, hits, phrases and whole stems) or with the built-in synthesizers, and
    mixed with effects. The same seed gives the same songs. An interrupted run goes on where it was.

    With flac or wav, a song's folder holds mixture, vocals, drums, bass and other, in 24 bits.

    \b
    Examples:
      streamsep data compose pool --songs 300
      streamsep data compose pool --bank bank.jsonl --workers 4
      streamsep data compose held-out --bank bank.jsonl --split test --songs 40 --seconds 24 --format flac
    """
    from streamsep.data.bank import Bank
    from streamsep.data.dataset import available_cores, check_options, compose_dataset, real_songs

    workers = available_cores() if workers is None else workers
    check_options(songs, seconds, seed, split, workers, format)
    pieces = 0
    if bank is not None and real and split == "train":
        pieces = real_songs(out, Bank.open(bank).split(split), format)
    with _bar() as step:
        new = compose_dataset(
            out, songs, seconds, bank, seed, split, workers, format, lambda done, total: step("composing", done, total)
        )
    typer.echo(f"{out}: {songs} songs of {seconds:g} s ({new} new)" + (f", {pieces} recorded pieces" if pieces else ""))


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="MUSDB18-HQ, or folders of stems.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the pool.")],
) -> None:
    """Import songs whose stems exist.

    A song is a folder with any of vocals, drums, bass and other (wav, flac, mp3, ogg, opus, ...; a missing stem is
    silence), or a .stem.mp4 file. Stems may differ in length and rate. Songs in or below folders called train, valid or
    test go to OUT/train, OUT/valid and OUT/test. Songs that cannot be used are reported and skipped; exit code 2 when
    there was one.

    \b
    Examples:
      streamsep data import musdb18hq pool
      streamsep data import ~/my-multitracks pool
    """
    from streamsep.data.importing import import_dataset

    with _bar() as step:
        report = import_dataset(folder, out, step)
    typer.echo(f"{out}: {report.songs} songs, {report.seconds / 60:.1f} minutes in {report.pieces} pieces")
    for failure in report.failures:
        typer.echo(f"streamsep: {failure}", err=True)
    if report.failures:
        raise typer.Exit(2)


@app.command("pseudo-label")
def pseudo_label_(
    songs: Annotated[Path, typer.Argument(metavar="SONGS", help="A folder of songs, or one song.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the pool.")],
    teacher: Annotated[str, typer.Option(metavar="SYSTEM", help="The separator that splits them (see above).")],
    gate: Annotated[
        str, typer.Option(metavar="GATE", help="energy, silero, none; auto is silero where it is installed.")
    ] = "auto",
    max_residual: Annotated[
        float, typer.Option(metavar="DB", help="Drop pieces whose stems miss the mixture by more.")
    ] = -20.0,
    format: Annotated[str, typer.Option(metavar="FORMAT", help="npy to train on; flac or wav to hear.")] = "npy",
) -> None:
    """Split music that has no stems with a teacher, and keep what can be trained on.

    Vocals are silenced where nobody sings (an energy gate, and Silero VAD where it is installed), pieces whose stems do
    not add up to the mixture are dropped, and what is left over goes to other, so that the stems sum to the mixture.

    A teacher is a command with {input}, a wav file, and {output}, a folder for stems; python:module:function, called
    with the mixture [2, n] and the rate; or, where installed, demucs[:MODEL] or audio-separator[:MODEL].

    \b
    Examples:
      streamsep data pseudo-label ~/music pool --teacher demucs
      streamsep data pseudo-label ~/music pool --teacher "streamsep separate {input} -o {output}" --gate energy
    """
    from streamsep.data.pseudo import PseudoOptions, pseudo_label
    from streamsep.data.systems import parse_system

    options = PseudoOptions(gate, max_residual, format)
    ready = "{input}" not in teacher and not teacher.startswith("python:")
    system = parse_system(teacher if ready else f"teacher={teacher}")
    with _bar() as step:
        report = pseudo_label(songs, out, system, options, step)
    typer.echo(
        f"{out}: {report.songs} songs, {report.seconds / 60:.1f} new minutes in {report.pieces} pieces, vocals in "
        f"{report.vocal_seconds / 60:.1f}; {report.dropped} pieces dropped"
    )
    for line in (*report.notes, *report.failures):
        typer.echo(f"streamsep: {line}", err=True)
    if report.failures:
        raise typer.Exit(2)


@contextmanager
def _bar() -> Iterator[Step]:
    """A function that moves a progress bar: what is being done, how many are done, of how many."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("")

        def step(name: str, done: int, total: int) -> None:
            bar.update(task, description=escape(name), completed=done, total=total)

        yield step
