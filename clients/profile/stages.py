"""What a frame spends outside the model when a server computes it: packing, socket, unpacking. A client of the server.

A frame is sent, its stems are waited for, then the server's ``/metrics`` tell how long its model computed. The rest of
the wait is the socket stage: both ways through the network stack, the server's event loop, the pipe to the process
that computes and back, and the cutting into frames there.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import typer
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed

from clients.profile.card import noise
from clients.python import ClientError, ServerError
from clients.python.wire import Wire
from streamsep.protocol import VERSION, Ack, Error, Hello, Ping, Pong, Ready, Stems, encode_samples

Times = NDArray[np.float64]

STAGES = ("pack", "socket", "model", "unpack")
_WARM_UP = 50  # frames
_QUIET = 1.0  # seconds without stems after which all that will come has come
_FORMAT = "f32le"


async def measure(
    url: str, frames: int, rate: int = 48_000, lookahead: int = 0, paced: bool = False, token: str | None = None
) -> dict[str, Any]:
    """Milliseconds of ``frames`` frames, summed up. Raises ClientError, ServerError."""
    hello = Hello(VERSION, rate, 2, _FORMAT, lookahead=lookahead, live=paced, token=token, client="profile")
    wire, ready = await Wire.open(url, hello)
    try:
        lane = _Lane(wire, ready, rate)
        found = await _frames(lane, _metrics(url), frames, paced)
        pings = await lane.pings(min(frames, 500))
    except ConnectionClosed as error:
        raise ClientError(f"the server ended the connection: {error}.") from error
    finally:
        await wire.close()
    return {
        "url": url,
        "model": ready.model,
        "frames": frames,
        "rate": rate,
        "lookahead": lookahead,
        "paced": paced,
        "stages": {stage: _summary(times) for stage, times in zip(STAGES, found.T, strict=True)},
        "total": _summary(found.sum(1)),
        "ping": _summary(pings),
    }


async def _frames(lane: _Lane, metrics: str, frames: int, paced: bool) -> Times:
    """[frames, stages] milliseconds."""
    await lane.warm_up()
    times = np.zeros((frames, len(STAGES)))
    seconds, steps = await asyncio.to_thread(_computed, metrics)
    begin = time.monotonic()
    for index in range(frames):
        if paced:
            await asyncio.sleep(max(0.0, begin + index * lane.seconds - time.monotonic()))
        pack, wait, unpack = await lane.frame()
        now, count = await asyncio.to_thread(_computed, metrics)
        model = 1_000 * (now - seconds)
        if count == steps:
            raise ClientError("the server's /metrics count no steps of the model; is it streamsep serve?")
        seconds, steps = now, count
        times[index] = pack, wait - model, model, unpack
    return times


class _Lane:
    """A session whose frames are sent one by one, the next one when the stems of the last are there."""

    def __init__(self, wire: Wire, ready: Ready, rate: int) -> None:
        self._wire, self._size = wire, ready.frame
        self.seconds = ready.frame / rate
        sound = noise(12, rate)
        starts = range(0, sound.shape[1] - self._size + 1, self._size)
        self._blocks = [np.ascontiguousarray(sound[:, start : start + self._size]) for start in starts]
        self._sent = self._got = 0

    async def warm_up(self) -> None:
        """As many stems as there will be for what was sent: from then on every frame brings one."""
        for _ in range(_WARM_UP):
            await self._send()
            await asyncio.sleep(0)
        while True:
            try:
                async with asyncio.timeout(10 if not self._got else _QUIET):
                    await self._receive()
            except TimeoutError:
                break
        if not self._got:
            raise ClientError("the server gave no stems for two seconds of sound.")

    async def frame(self) -> tuple[float, float, float]:
        """Milliseconds of packing, of waiting and of unpacking."""
        wanted = self._got + self._size
        pack, sent = await self._send()
        unpack = 0.0
        while self._got < wanted:
            unpack += await self._receive()
        wait = 1_000 * (time.perf_counter() - sent) - unpack
        await self._wire.tell(Ack(self._got))
        return pack, wait, unpack

    async def pings(self, count: int) -> Times:
        """Milliseconds there and back of a message that the model has nothing to do with."""
        found: list[float] = []
        for number in range(count):
            begin = time.perf_counter()
            await self._wire.tell(Ping(number))
            while not isinstance(await self._wire.hear(), Pong):
                pass
            found.append(1_000 * (time.perf_counter() - begin))
        return np.array(found)

    async def _send(self) -> tuple[float, float]:
        """Milliseconds of packing, and when it was done."""
        block = self._blocks[self._sent // self._size % len(self._blocks)]
        begin = time.perf_counter()
        data = encode_samples(block, _FORMAT)
        packed = time.perf_counter()
        await self._wire.sound(self._sent, data)
        self._sent += self._size
        return 1_000 * (packed - begin), packed

    async def _receive(self) -> float:
        """The next stems; milliseconds of unpacking. Other messages are passed over."""
        while True:
            message = await self._wire.hear()
            if isinstance(message, Error):
                raise ServerError(message)
            if isinstance(message, Stems):
                break
        begin = time.perf_counter()
        self._wire.samples(message)
        self._got = message.position + message.count
        return 1_000 * (time.perf_counter() - begin)


def _metrics(url: str) -> str:
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}/metrics"


def _computed(metrics: str) -> tuple[float, float]:
    """Seconds that the model has computed, and its steps; ClientError when they are not of this session alone."""
    try:
        with urllib.request.urlopen(metrics, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ClientError(f"{metrics} cannot be read: {error}.") from error
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("streamsep_"))
    if float(values.get("streamsep_sessions", 1)) > 1:
        raise ClientError("the server has other sessions; their steps cannot be told from those of this one.")
    return float(values.get("streamsep_frame_seconds_sum", 0)), float(values.get("streamsep_frame_seconds_count", 0))


def _summary(times: Times) -> dict[str, float]:
    found = {f"p{q}": float(np.percentile(times, q)) for q in (50, 95, 99)}
    return {name: round(value, 4) for name, value in {"mean": float(times.mean()), **found, "max": times.max()}.items()}


def text(report: dict[str, Any]) -> str:
    """A table, and what its rows are."""
    pace = "at the pace of the sound" if report["paced"] else "one after the other"
    rows = {**report["stages"], "total": report["total"], "ping": report["ping"]}
    lines = [
        f"'{report['model']}' at {report['url']}, {report['frames']} frames {pace}, lookahead {report['lookahead']}",
        "",
        f"{'ms':8}" + "".join(f"{name:>9}" for name in ("p50", "p95", "p99", "max")),
    ]
    for name, row in rows.items():
        lines.append(f"{name:8}" + "".join(f"{row[q]:9.2f}" for q in ("p50", "p95", "p99", "max")))
    lines += [
        "",
        "model: what the server says that it computed. socket: from the packed frame to the packed stems, less model.",
        "ping: there and back of a message that the model has nothing to do with.",
    ]
    return "\n".join(lines)


def main(
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the server.")] = "ws://127.0.0.1:8765/v1",
    frames: Annotated[int, typer.Option(metavar="N", help="Frames to time, 50 warming ones on top.", min=10)] = 1_000,
    lookahead: Annotated[int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2.")] = 0,
    rate: Annotated[int, typer.Option(metavar="HZ", help="Sample rate of the session.")] = 48_000,
    paced: Annotated[bool, typer.Option("--paced", help="At the pace of the sound, as a live session.")] = False,
    token: Annotated[str | None, typer.Option(envvar="STREAMSEP_TOKEN", help="Token of the server.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Show what a frame spends in packing, socket, model and unpacking when a server computes it.

    The server must have no other session meanwhile.

    \b
    Examples:
      streamsep serve                          # in another terminal, until it says where to connect
      python -m clients.profile.stages
      python -m clients.profile.stages --url ws://stage:8765/v1 --frames 5000 --paced --json
    """
    found = asyncio.run(measure(url, frames, rate, lookahead, paced, token))
    print(json.dumps(found, indent=2) if as_json else text(found))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app(prog_name="python -m clients.profile.stages")
    except (ClientError, ServerError) as error:
        typer.echo(f"streamsep: {error}", err=True)
        raise SystemExit(2) from error
