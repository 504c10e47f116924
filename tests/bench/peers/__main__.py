"""``python -m tests.bench.peers``: streamsep beside other models, in one run on one machine."""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from streamsep.audio.blocks import to_stereo
from streamsep.audio.files import open_audio
from streamsep.audio.resample import resample
from streamsep.data.compose import compose_song
from streamsep.doctor.environment import environment
from streamsep.engine.device import check_device
from streamsep.errors import OptionError, StreamsepError
from tests.bench.peers.peer import PEERS
from tests.bench.peers.race import race

NOTES = (
    "Medians over the rounds; a round runs every model in turn, each in a process of its own, one at a time. Real-time "
    "factor: computing time over the sound's. Latency: without computing and devices. Operations: of products and "
    "convolutions, a multiply-add is two. Memory: the most that was resident. Start: from launch to the first stem; "
    "random weights are drawn, not read. Weights that are random change neither speed nor latency nor memory."
)


TIMES = ("real_time_factor", "real_time_factor_range", "real_time_factor_ratio", "step_ms", "cold_start_s")
COLUMNS: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("real-time factor", lambda row: f"{row['real_time_factor']:.3f}"),
    ("ratio", lambda row: f"{row['real_time_factor_ratio']:.1f}"),
    ("latency ms", lambda row: f"{row['latency_ms']:.0f}"),
    ("+ step ms", lambda row: f"{row['latency_ms'] + row['step_ms']:.0f}"),
    ("GFLOP / s of sound", lambda row: f"{row['gflops_per_second']:.2f}"),
    ("ratio", lambda row: f"{row['gflops_per_second_ratio']:.1f}"),
    ("M parameters", lambda row: f"{row['parameters'] / 1e6:.1f}"),
    ("peak MB", lambda row: f"{row['peak_mb']:.0f}"),
    ("on the GPU", lambda row: f"{row['device_mb']:.0f}"),
    ("start s", lambda row: f"{row['cold_start_s']:.1f}"),
)


def show(console: Console, report: dict[str, Any]) -> None:
    machine = "" if report["device"] == "cpu" else f"{report['device']}, "
    table = Table(
        title=f"{machine}{report['processor']}, {report['threads']} threads, torch {report['torch']}, {report['date']}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("model", no_wrap=True)
    columns = [(name, value) for name, value in COLUMNS if name != "on the GPU" or report["device"] != "cpu"]
    for name, _ in columns:
        table.add_column(name, justify="right")
    table.add_column("weights")
    table.add_column("how")
    for row in report["rows"]:
        table.add_row(row["name"], *(_cell(value, row) for _, value in columns), row["weights"], row["how"])
    console.print(table)
    console.print(NOTES, style="dim")
    for name, why in report["missing"].items():
        console.print(f"{name} is missing: {why}", markup=False)


def _cell(value: Callable[[dict[str, Any]], str], row: dict[str, Any]) -> str:
    try:
        return value(row)
    except KeyError:  # not measured
        return "-"


def with_ratios(rows: list[dict[str, Any]]) -> None:
    """Every row's operations over those of the first, whatever call counted them."""
    first = rows[0].get("gflops_per_second") if rows else None
    for row in rows:
        if first and "gflops_per_second" in row:
            row["gflops_per_second_ratio"] = round(row["gflops_per_second"] / first, 3)


def joined(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Two reports of one machine as one: what ``now`` measured takes the place of what ``before`` had of a model.

    The first model's times stay as they were: its part in a later call is to be what others' ratios stand on. Raises
    OptionError when the two cannot stand in one table.
    """
    differs = [name for name in ("device", "processor", "threads", "torch") if before[name] != now[name]]
    if differs:
        raise OptionError(f"the results kept have another {' and '.join(differs)}; keep these in another file.")
    rows = {row["name"]: row for row in before["rows"]}
    for row in now["rows"]:
        kept = rows.get(row["name"], {})
        rows[row["name"]] = {**kept, **row}
        if row["name"] == PEERS[0].name:
            rows[row["name"]] |= {name: kept[name] for name in TIMES if name in kept}
    order = [peer.name for peer in PEERS]
    missing = {name: why for name, why in {**before["missing"], **now["missing"]}.items() if name not in rows}
    return {**now, "rows": sorted(rows.values(), key=lambda row: order.index(row["name"])), "missing": missing}


def main(
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Beginnings of names of peers.", show_default="all")
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", help="Rounds, one to warm up comes on top; 0 for no times.", min=0)
    ] = 3,
    count: Annotated[bool, typer.Option("--count/--no-count", help="Latency and operations, too.")] = True,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Join with the results in FILE, and write them there.", show_default="no"),
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="T", help="Sound that a model gets in a round.")] = 4.0,
    budget: Annotated[float, typer.Option(metavar="T", help="Seconds after which a slow model's round ends.")] = 4.0,
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of every model.")] = 2,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    song: Annotated[Path | None, typer.Option(metavar="FILE", help="Music.", show_default="composed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable object, nothing else.")] = False,
) -> None:
    """Race streamsep against other models: speed, latency, operations, memory, start.

    Peers that are not installed are named and left out: pip install 'streamsep[peers]' brings all but moshi, which asks
    for an older torch but runs with this one: pip install --no-deps moshi. Their weights are random, which changes
    nothing of what is measured here.

    \b
    Examples:
      python -m tests.bench.peers
      python -m tests.bench.peers --only streamsep,HS,Open --rounds 5 --json
      python -m tests.bench.peers --device cuda
      python -m tests.bench.peers --rounds 0 --keep peers.json         # what needs no quiet machine
      python -m tests.bench.peers --no-count --only streamsep,HT --keep peers.json
    """
    report = None if keep is None or not keep.exists() else json.loads(keep.read_text("utf-8"))
    peers = [peer for peer in PEERS if only is None or peer.name.lower().startswith(_names(only))]
    if not peers:
        raise OptionError(f"no peer's name begins like '{only}'.")
    errors = Console(stderr=True, highlight=False, log_path=False)
    head = _head(threads, device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.npy"
        np.save(path, _sound(song))
        # Times are compared, so all run side by side; counts are not, and what is counted is kept at once.
        for some in [peers] if rounds else [[peer] for peer in peers]:
            found = {**head, **race(some, path, threads, rounds, seconds, budget, errors.log, count, device)}
            report = found if report is None else joined(report, found)
            if keep is not None:
                keep.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    assert report is not None  # there is a peer
    with_ratios(report["rows"])
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        show(Console(highlight=False, width=170), report)


def _head(threads: int, device: str) -> dict[str, Any]:
    check_device(device)
    found = environment()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "processor": found["cpu"]["name"],
        "threads": threads,
        "torch": found["packages"]["torch"],
    }


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
        print(f"streamsep: {error}", file=sys.stderr)
        raise SystemExit(2) from error
