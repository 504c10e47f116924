"""Sound in to sound out through the engine in this process, at the pace of the sound. A client of the library."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import asdict
from typing import Annotated

import numpy as np
import typer

import streamsep
from clients.profile.card import Card, Report, Sound, noise, report


def measure(model: str, lookahead: int, seconds: float, rate: int, block: int, device: str = "cpu") -> Report:
    """Stream ``seconds`` of noise through ``model`` in blocks of ``block`` samples; the stems' sum is played."""
    stream = streamsep.load(model, device).stream(rate, 2, lookahead)
    stream.push(np.zeros((2, rate // 5), np.float32))  # what is compiled on demand is compiled now
    stream.reset()
    card = Card(noise(seconds, rate), rate, block)
    waiting: queue.SimpleQueue[Sound | None] = queue.SimpleQueue()

    def separate() -> None:
        while (heard := waiting.get()) is not None:
            card.play(np.sum([*stream.push(heard).values()], axis=0))

    thread = threading.Thread(target=separate)
    thread.start()
    try:
        card.run(waiting.put)
    finally:
        waiting.put(None)
        thread.join()
    return report(f"engine, lookahead {lookahead}", card, stream.latency / rate)


def main(
    seconds: Annotated[float, typer.Option(metavar="T", help="Seconds of sound, 2 or more.", min=2)] = 10.0,
    lookahead: Annotated[int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2.")] = 0,
    rate: Annotated[int, typer.Option(metavar="HZ", help="Sample rate of the card.")] = 48_000,
    block: Annotated[int, typer.Option(metavar="N", help="Samples of the card's blocks.", min=16)] = 480,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")] = "tiny",
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Measure the delay from sound in to sound out through the engine, by cross-correlation of both.

    A card that exists in memory only hears and plays in real time. The delay grows by a block whenever there was
    nothing to play, as with a real card, and is measured in the second half.

    \b
    Examples:
      python -m clients.profile.engine
      python -m clients.profile.engine --lookahead -1 --block 240 --json
    """
    found = measure(model, lookahead, seconds, rate, block)
    print(json.dumps(asdict(found), indent=2) if as_json else found.text())


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app(prog_name="python -m clients.profile.engine")
    except streamsep.StreamsepError as error:
        typer.echo(f"streamsep: {error}", err=True)
        raise SystemExit(2) from error
