"""Load: many sessions in real time against a server, and how late their stems come. Knows the Python client only.

A sample's latency is the time from when it was due to be sent to when its stem was here. It holds the model's own
latency (``ready.latency``), the wait for a step, the step and the way there and back.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from clients.python import ClientError, ServerError, Session, connect

BLOCK = 0.02  # seconds of sound in a message
LATE = 0.08  # seconds past the model's own latency at which a block of stems counts as late


@dataclass
class Report:
    """One session. Latencies in milliseconds; ``own`` is the model's, without computing and sending."""

    session: int
    own: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    most: float = 0.0
    pace: float = 0.0  # milliseconds that the sender itself was late, 99th percentile
    blocks: int = 0
    late: int = 0
    dropped: int = 0  # samples
    fallbacks: int = 0  # frames
    reconnects: int = 0
    refusals: int = 0
    refused: str | None = None
    failed: str | None = None
    latencies: list[float] = field(default_factory=list, repr=False)
    paces: list[float] = field(default_factory=list, repr=False)

    def finish(self) -> None:
        if self.latencies:
            p50, p95, p99 = np.percentile(self.latencies, [50, 95, 99])
            self.p50, self.p95, self.p99 = (round(float(p), 2) for p in (p50, p95, p99))
            self.most, self.blocks = round(max(self.latencies), 2), len(self.latencies)
            self.pace = round(float(np.percentile(self.paces, 99)), 2)
            self.late = sum(latency > self.own + 1_000 * LATE for latency in self.latencies)

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name not in ("latencies", "paces")}


def noise(seconds: float, rate: int, channels: int, seed: int) -> NDArray[np.float32]:
    """``[channels, samples]``: a beat of noise over two tones, another for every seed."""
    rng, time_ = np.random.default_rng(seed), np.arange(round(seconds * rate)) / rate
    bass, lead = (np.sin(2 * np.pi * rng.uniform(*band) * time_) for band in ((60, 120), (300, 900)))
    beat = 0.2 * rng.standard_normal(time_.size) * np.exp(-20 * (time_ % rng.uniform(0.3, 0.6)))
    return np.repeat((0.2 * bass + 0.1 * lead + beat)[None], channels, axis=0).astype(np.float32)


async def play(
    number: int, url: str, sound: NDArray[np.float32], rate: int, options: dict[str, Any], insist: bool = False
) -> Report:
    """One session at the pace of its sound, from a random moment within the first frame on.

    ``insist``: when the server is full, ask again as soon as it says, and play what of the sound is left by then.
    """
    report = Report(number)
    await asyncio.sleep(float(np.random.default_rng(number).uniform(0, 0.04)))
    begun, wait = time.monotonic(), 1.0
    while True:
        left = sound[:, round((time.monotonic() - begun) * rate) :] if report.refusals else sound
        try:
            await _play(report, url, left, rate, options)
        except* ServerError as errors:
            error = errors.exceptions[0]
            report.refused, report.refusals = str(error), report.refusals + 1
            wait = getattr(error, "retry_after", None) or 1.0
        except* ClientError as errors:
            report.failed = str(errors.exceptions[0])
        if report.refused is None or report.failed or not insist:
            break
        if (time.monotonic() - begun + wait) * rate >= sound.shape[1]:
            break
        await asyncio.sleep(wait)
        report.refused = None
    report.finish()
    return report


async def _play(report: Report, url: str, sound: NDArray[np.float32], rate: int, options: dict[str, Any]) -> None:
    def notice(text: str) -> None:
        print(f"session {report.session}: {text}", file=sys.stderr)

    name = f"load {report.session}"
    async with await connect(url, rate, sound.shape[0], live=True, name=name, notice=notice, **options) as session:
        report.own = round(1_000 * session.ready.latency / rate, 2)
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(_send(session, sound, rate, started, report))
            group.create_task(_listen(session, rate, started, report))
        stats = await session.stats()
        report.dropped, report.fallbacks = session.lost, stats.fallbacks or 0
        report.reconnects = session.reconnects


async def _send(session: Session, sound: NDArray[np.float32], rate: int, started: float, report: Report) -> None:
    step = round(BLOCK * rate)
    for start in range(0, sound.shape[1], step):
        block = sound[:, start : start + step]
        # A block can leave when its last sample has been played.
        due = started + (start + block.shape[1]) / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        report.paces.append(1_000 * max(0.0, time.monotonic() - due))
        await session.send(block)
    await session.finish()


async def _listen(session: Session, rate: int, started: float, report: Report) -> None:
    async for block in session:
        report.latencies.append(1_000 * (time.monotonic() - started - block.position / rate))


async def run(
    url: str, sessions: int, seconds: float, rate: int, song: Path | None, options: dict[str, Any], insist: bool = False
) -> list[Report]:
    """All sessions side by side. Raises ClientError for a song that cannot be read, and for no length or number."""
    if sessions < 1:
        raise ClientError(f"--sessions {sessions} is nobody; give 1 or more.")
    if not 0 < seconds < math.inf:
        raise ClientError(f"--seconds {seconds:g} is no length; give more than 0.")
    sounds = [noise(seconds, rate, 2, seed) for seed in range(sessions)]
    if song is not None:
        whole, rate = _read(song)
        length, base = round(seconds * rate), np.ascontiguousarray(whole.T[:2], np.float32)
        base = np.tile(base, -(-2 * length // base.shape[1]))
        offsets = np.linspace(0, length, sessions, endpoint=False).astype(int)  # nobody plays the same at once
        sounds = [base[:, offset : offset + length] for offset in offsets]
    return await asyncio.gather(*(play(n, url, sound, rate, options, insist) for n, sound in enumerate(sounds)))


def _read(song: Path) -> tuple[NDArray[np.float32], int]:
    try:
        sound, rate = soundfile.read(song, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise ClientError(f"'{song}' cannot be read: {error}") from error
    if not len(sound):
        raise ClientError(f"'{song}' holds no sound; give a longer one, or leave --song out.")
    return sound.astype(np.float32, copy=False), rate


def overall(reports: list[Report]) -> Report:
    """All sessions that played as one."""
    total = Report(-1, own=max((report.own for report in reports), default=0.0))
    for report in reports:
        total.latencies += report.latencies
        total.paces += report.paces
        total.refusals += report.refusals
        total.dropped += report.dropped
        total.fallbacks += report.fallbacks
        total.reconnects += report.reconnects
    total.finish()
    total.late = sum(report.late for report in reports)
    return total


def show(reports: list[Report], total: Report) -> None:
    """The reports as a table on stdout."""
    table = Table(
        "session", "p50 ms", "p95 ms", "p99 ms", "most ms", "pace ms", "blocks", "late", "dropped", "fallbacks", ""
    )
    for report in [*reports, total]:
        name = "all" if report is total else str(report.session)
        numbers = (report.p50, report.p95, report.p99, report.most, report.pace)
        counts = (report.blocks, report.late, report.dropped, report.fallbacks)
        said = report.refused or report.failed or ""
        table.add_row(name, *(f"{n:.1f}" for n in numbers), *(str(n) for n in counts), said)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def main(
    sessions: Annotated[int, typer.Option(metavar="N", help="Sessions at once.")] = 1,
    seconds: Annotated[float, typer.Option(metavar="T", help="Seconds of sound in each.")] = 10.0,
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the server.")] = "ws://127.0.0.1:8765/v1",
    rate: Annotated[int, typer.Option(metavar="HZ", help="Sample rate of the made sound.")] = 48_000,
    song: Annotated[Path | None, typer.Option(metavar="FILE", help="Sound to play.", show_default="made")] = None,
    lookahead: Annotated[int, typer.Option(metavar="K", help="Frames of 40 ms heard ahead: -1, 0, 1 or 2.")] = 0,
    format: Annotated[str, typer.Option(metavar="FORMAT", help="s16le, f32le or opus.")] = "s16le",
    token: Annotated[str | None, typer.Option(envvar="STREAMSEP_TOKEN", help="Token of the server.")] = None,
    insist: Annotated[bool, typer.Option("--insist", help="Refused sessions ask again when the server says.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Play many streams to a server in real time and measure how late the stems come.

    Latency counts from when a sample was due to be sent to when its stem was here. Late: more than 80 ms above the
    model's own latency. Pace: how late the sender itself was, 99th percentile. Refused sessions are listed and not
    counted. What happens to a connection is said on stderr. Exit code 1 when no session played.

    \b
    Examples:
      python -m clients.load --sessions 4 --seconds 30
      python -m clients.load --sessions 8 --seconds 60 --song song.wav --json
    """
    options = {"lookahead": lookahead, "format": format, "token": token}
    try:
        reports = asyncio.run(run(url, sessions, seconds, rate, song, options, insist))
    except ClientError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    total = overall(reports)
    if as_json:
        print(json.dumps({"overall": total.to_dict(), "sessions": [r.to_dict() for r in reports]}, indent=2))
    else:
        show(reports, total)
    if not total.blocks:
        raise typer.Exit(1)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="python -m clients.load")
