"""``python -m tests.bench.peers``: streamsep beside other models, in one run on one machine."""

from __future__ import annotations

import datetime
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from streamsep.audio.blocks import to_stereo
from streamsep.audio.files import open_audio
from streamsep.audio.resample import resample
from streamsep.data.compose import compose_song
from streamsep.doctor.environment import environment
from streamsep.errors import StreamsepError
from tests.bench.peers.peer import PEERS
from tests.bench.peers.race import race

NOTES = (
    "Medians over the rounds; a round runs every model in turn, each in a process of its own, one at a time. Real-time "
    "factor: computing time over the sound's. Latency: without computing and devices. Operations: of products and "
    "convolutions, a multiply-add is two. Memory: the most that was resident. Start: from launch to the first stem; "
    "random weights are drawn, not read. Weights that are random change neither speed nor latency nor memory."
)


def show(console: Console, report: dict[str, Any]) -> None:
    table = Table(
        title=f"{report['processor']}, {report['threads']} threads, torch {report['torch']}, {report['date']}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("model", no_wrap=True)
    heads = ("real-time factor", "ratio", "latency ms", "+ step ms", "GFLOP / s of sound", "ratio", "M parameters")
    for name in (*heads, "peak MB", "start s"):
        table.add_column(name, justify="right")
    table.add_column("weights")
    table.add_column("how")
    for row in report["rows"]:
        table.add_row(
            row["name"],
            f"{row['real_time_factor']:.3f}",
            f"{row['real_time_factor_ratio']:.1f}",
            f"{row['latency_ms']:.0f}",
            f"{row['latency_and_step_ms']:.0f}",
            f"{row['gflops_per_second']:.2f}",
            f"{row['gflops_per_second_ratio']:.1f}",
            f"{row['parameters'] / 1e6:.1f}",
            f"{row['peak_mb']:.0f}",
            f"{row['cold_start_s']:.1f}",
            row["weights"],
            row["how"],
        )
    console.print(table)
    console.print(NOTES, style="dim")
    for name, why in report["missing"].items():
        console.print(f"{name} is missing: {why}", markup=False)


def main(
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Beginnings of names of peers.", show_default="all")
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Rounds, one to warm up comes on top.")] = 3,
    seconds: Annotated[float, typer.Option(metavar="T", help="Sound that a model gets in a round.")] = 4.0,
    budget: Annotated[float, typer.Option(metavar="T", help="Seconds after which a slow model's round ends.")] = 4.0,
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of every model.")] = 2,
    song: Annotated[Path | None, typer.Option(metavar="FILE", help="Music.", show_default="composed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Race streamsep against other models: speed, latency, operations, memory, start.

    Peers that are not installed are named and left out: pip install 'streamsep[peers]' brings them, with a torchaudio
    that fits torch. Their weights are random, which changes nothing of what is measured here.

    \b
    Examples:
      python -m tests.bench.peers
      python -m tests.bench.peers --only streamsep,HS,Open --rounds 5 --json
    """
    peers = [peer for peer in PEERS if only is None or peer.name.lower().startswith(_names(only))]
    errors = Console(stderr=True, highlight=False, log_path=False)
    found = environment()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.npy"
        np.save(path, _sound(song))
        result = race(peers, path, threads, rounds, seconds, budget, errors.log)
    report = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": found["cpu"]["name"],
        "threads": threads,
        "torch": found["packages"]["torch"],
        "rounds": rounds,
        **result,
    }
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        show(Console(highlight=False, width=170), report)


def _names(only: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in only.split(",") if name.strip())


def _sound(song: Path | None) -> np.ndarray:
    if song is None:
        return compose_song(0, 20.0, None, "test").mixture
    with open_audio(song) as reader:
        sound, rate = to_stereo(reader.read(round(30 * reader.rate))[:2]), reader.rate
    return resample(sound, rate, 48_000)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app(prog_name="python -m tests.bench.peers")
    except StreamsepError as error:
        raise SystemExit(f"streamsep: {error}") from error
