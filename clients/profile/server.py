"""Sound in to sound out through a server, at the pace of the sound. A client of the server."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import asdict
from typing import Annotated

import numpy as np
import typer

from clients.profile.card import Card, Report, Sound, noise, report
from clients.python import Client, ClientError, ServerError


def measure(url: str, lookahead: int, seconds: float, rate: int, block: int, token: str | None = None) -> Report:
    """Send ``seconds`` of noise in blocks of ``block`` samples; the stems' sum is played. Raises ClientError."""
    card = Card(noise(seconds, rate), rate, block)
    waiting: queue.SimpleQueue[Sound | None] = queue.SimpleQueue()
    with Client(url, rate, 2, live=True, lookahead=lookahead, token=token, name="profile") as client:

        def send() -> None:
            while (heard := waiting.get()) is not None:
                client.send(heard)
            client.finish()

        def receive() -> None:
            for one in client:
                card.play(np.pad(np.sum([*one.stems.values()], axis=0), ((0, 0), (one.missing, 0))))

        threads = [threading.Thread(target=target, daemon=True) for target in (send, receive)]
        for thread in threads:
            thread.start()
        try:
            card.run(waiting.put)
        finally:
            waiting.put(None)
            for thread in threads:
                thread.join(10)
        own = client.session.ready.latency / rate
    return report(f"server, lookahead {lookahead}", card, own)


def main(
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the server.")] = "ws://127.0.0.1:8765/v1",
    seconds: Annotated[float, typer.Option(metavar="T", help="Seconds of sound, 2 or more.", min=2)] = 10.0,
    lookahead: Annotated[int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2.")] = 0,
    rate: Annotated[int, typer.Option(metavar="HZ", help="Sample rate of the card.")] = 48_000,
    block: Annotated[int, typer.Option(metavar="N", help="Samples of the card's blocks.", min=16)] = 480,
    token: Annotated[str | None, typer.Option(envvar="STREAMSEP_TOKEN", help="Token of the server.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Measure the delay from sound in to sound out through a server, by cross-correlation of both.

    A card that exists in memory only hears and plays in real time. The delay grows by a block whenever there was
    nothing to play, as with a real card, and is measured in the second half.

    \b
    Examples:
      streamsep serve                          # in another terminal, until it says where to connect
      python -m clients.profile.server
      python -m clients.profile.server --url ws://stage:8765/v1 --lookahead -1 --json
    """
    found = measure(url, lookahead, seconds, rate, block, token)
    print(json.dumps(asdict(found), indent=2) if as_json else found.text())


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app(prog_name="python -m clients.profile.server")
    except (ClientError, ServerError) as error:
        typer.echo(f"streamsep: {error}", err=True)
        raise SystemExit(2) from error
