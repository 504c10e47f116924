"""``streamsep models`` and ``streamsep doctor``: arguments in, exit code out."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from streamsep.errors import StreamsepError


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """List the models that are here: size, parameters, licence, scores.

    \b
    Examples:
      streamsep models
      streamsep models --json
    """
    from rich.console import Console

    from streamsep.config import SHIPPED_MODELS
    from streamsep.doctor.models import shipped_models
    from streamsep.doctor.tables import print_models

    found = shipped_models()
    if as_json:
        typer.echo(json.dumps({"models": [model.to_dict() for model in found]}, indent=2))
    elif found:
        print_models(Console(highlight=False), found)
    else:
        raise StreamsepError(
            f"no model is in '{SHIPPED_MODELS}'; install streamsep again, or train one: streamsep train."
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
    from rich.console import Console

    from streamsep.doctor.environment import environment
    from streamsep.doctor.parts import kernel_table, sound_devices
    from streamsep.doctor.tables import print_findings

    device = device.lower()
    report: dict[str, Any] = {
        "environment": environment(),
        "sound": sound_devices(),
        "kernels": kernel_table(device),
        "speed": _speed(model, device) if speed else None,
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        print_findings(Console(highlight=False), report)
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
