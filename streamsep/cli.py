"""The command line's root: finds a command, imports only that one, turns failures into one line and an exit code.

Exit codes: 0 done, 2 what the user can mend, 1 a fault of ours, 130 interrupted. No command's module is imported for
``streamsep --help``: the one-line helps stand here.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Collection
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, NoReturn

import typer

import streamsep
from streamsep.errors import StreamsepError


@dataclass(frozen=True)
class Command:
    """Where a command lives: a function, or a typer app of sub-commands, in ``module`` under ``attribute``."""

    name: str
    module: str
    attribute: str
    help: str
    group: bool = False


COMMANDS: tuple[Command, ...] = (
    Command("separate", "streamsep.files.cli", "separate", "Separate songs into vocals, drums, bass and other."),
    Command("live", "streamsep.live.cli", "live", "Separate what comes in while it plays: karaoke from line-in."),
    Command("devices", "streamsep.live.cli", "devices", "List sound devices."),
    Command("demo", "streamsep.demo.cli", "demo", "Compose a song, separate it in real time, show how well it went."),
    Command("models", "streamsep.doctor.cli", "models", "List the models that are here; import others.", group=True),
    Command("doctor", "streamsep.doctor.cli", "doctor", "Check environment, devices and speed."),
    Command("profile", "streamsep.profile.cli", "app", "Show where every millisecond goes.", group=True),
    Command("serve", "streamsep.serve.cli", "serve", "Give stems of live streams over a WebSocket."),
    Command("evaluate", "streamsep.evaluate.cli", "evaluate", "Measure separation against true stems."),
    Command("codec", "streamsep.transcode.cli", "app", "Turn sound into tokens and back.", group=True),
    Command("data", "streamsep.data.cli", "app", "Make or import songs to train on.", group=True),
    Command("train", "streamsep.train.cli", "train", "Train a guide, a codec or a language model."),
    Command("ablate", "streamsep.ablate.cli", "ablate", "Compare variants of the paper's arrangement, in small."),
)

HELP = """Take music apart while it plays: vocals, drums, bass and other.

\b
Examples:
  streamsep demo
  streamsep separate song.mp3 -o stems
  streamsep separate album/ -o karaoke --two-stems vocals --format mp3
  streamsep live
  streamsep doctor
"""


def build(wanted: Collection[str] = ()) -> typer.Typer:
    """The root app. Commands named in ``wanted`` are real; the others stand in with their help alone."""
    app = typer.Typer(
        name="streamsep",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for command in COMMANDS:
        if command.name not in wanted:
            app.command(command.name, help=command.help)(_stand_in)
            continue
        target = getattr(importlib.import_module(command.module), command.attribute)
        if command.group:
            app.add_typer(target, name=command.name, short_help=command.help)
        else:
            app.command(command.name, short_help=command.help)(target)
    return app


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line on ``arguments`` (``sys.argv`` when None) and exit."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a song's name must not end the run on a narrow terminal
    _heed_ends()
    try:
        build(given)(given, prog_name="streamsep")
    except KeyboardInterrupt:
        sys.exit(130)
    except StreamsepError as error:
        if _debugging():
            raise
        print(f"streamsep: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if _debugging():
            raise
        text = " ".join(str(error).split())
        print(
            f"streamsep: internal error, {type(error).__name__}: {text} (STREAMSEP_DEBUG=1 shows where).",
            file=sys.stderr,
        )
        sys.exit(1)
    sys.exit(0)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamsep {streamsep.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Holds the options of ``streamsep`` itself; the eager callback has done all there is to do."""


def _stand_in() -> None:
    """Never runs: ``main`` makes every command that is named on the line a real one."""


def _heed_ends() -> None:
    """A kill and a terminal that closes, too, remove what is half-written; nohup is obeyed."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hang_up)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _hang_up(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # system and shell both send one, and the second must not end the tidying
    _terminate(number, frame)


def _debugging() -> bool:
    return bool(os.environ.get("STREAMSEP_DEBUG"))
