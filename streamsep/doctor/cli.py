"""``streamsep models`` (with its import) and ``streamsep doctor``: arguments in, exit code out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from streamsep.choices import DEVICES, check_choice
from streamsep.errors import StreamsepError

MODELS_HELP = """List the models that are here: size, parameters, licence, scores. Import published ones.

\b
Examples:
  streamsep models
  streamsep models --json
  streamsep models import hcodec-2.0 large_12.5hz_weights.pt
"""

models = typer.Typer(
    help=MODELS_HELP,
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@models.callback()
def list_models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from streamsep.config import SHIPPED_MODELS
    from streamsep.console import for_tables
    from streamsep.doctor.models import shipped_models
    from streamsep.doctor.tables import print_models
    from streamsep.model.store import imported_models

    found = [*shipped_models(), *shipped_models(imported_models())]
    if as_json:
        typer.echo(json.dumps({"models": [model.to_dict() for model in found]}, indent=2))
    elif found:
        print_models(for_tables(), found)
    else:
        raise StreamsepError(
            f"no model is in '{SHIPPED_MODELS}'; install streamsep again, or train one: streamsep train."
        )


@models.command("import")
def import_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What it is: hcodec-2.0.")],
    checkpoint: Annotated[Path, typer.Argument(metavar="FILE", help="The published .pt, or the same as .safetensors.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Its new folder.", show_default="with the imported models"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Its sizes.", show_default="the published ones")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace one that was imported before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Import a published checkpoint: check it, convert it to safetensors and JSON.

    hcodec-2.0 is the codec H-Codec-2.0 (48 kHz, 12.5 tokens a second; the file is called large_12.5hz_weights.pt, 5.1
    GB). Nothing in the file is executed: a pickle that holds more than tensors is refused. Every name and shape must
    be there and no other; otherwise what is missing or extra is said, and nothing is written. Imported models lie in
    the user's data folder, or where STREAMSEP_MODELS points.

    \b
    Examples:
      streamsep models import hcodec-2.0 large_12.5hz_weights.pt
      streamsep models import hcodec-2.0 large_12.5hz_weights.pt -o models/hcodec --json
      streamsep models import hcodec-2.0 my_weights.pt --config my_sizes.json -o models/mine
    """
    from streamsep.doctor.importing import import_model

    done = import_model(kind.lower(), checkpoint, out, config, overwrite)
    if as_json:
        typer.echo(json.dumps(done.to_dict(), indent=2))
    else:
        typer.echo(
            f"{done.folder}: {done.tensors} tensors, none missing, none extra, {done.parameters / 1e6:.1f} M parameters"
        )


def doctor(
    model: Annotated[str, typer.Option(metavar="MODEL", help="Whose speed to check: a shipped model or a path.")] = (
        "tiny"
    ),
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    speed: Annotated[bool, typer.Option(help="Run the five-second speed check.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Check environment, sound devices, kernels and speed.

    The speed check pushes sound through one stream of the real model as fast as it goes, with one and with two
    threads. Below 40 ms a frame it keeps up with live sound; the 99 % figure is the one that counts.

    \b
    Examples:
      streamsep doctor
      streamsep doctor --no-speed --json
    """
    from streamsep.console import for_tables
    from streamsep.doctor.environment import environment
    from streamsep.doctor.parts import kernel_table, sound_devices
    from streamsep.doctor.tables import print_findings

    device = device.lower()
    check_choice("device", device, DEVICES)
    report: dict[str, Any] = {
        "environment": environment(),
        "sound": sound_devices(),
        "kernels": kernel_table(device),
        "speed": _speed(model, device) if speed else None,
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        print_findings(for_tables(), report)
    if report["speed"] and "problem" in report["speed"]:
        raise typer.Exit(2)


def _speed(model: str, device: str) -> dict[str, Any]:
    """The speed check, or why there is none: the rest of the findings is wanted most when the model does not run."""
    from streamsep.doctor.environment import usable_cores
    from streamsep.doctor.speed import speed_check

    threads = (1, 2) if usable_cores() > 1 else (1,)
    try:
        return speed_check(model, device, threads)
    except StreamsepError as error:
        return {"model": model, "device": device, "problem": str(error)}
