"""Soaks of ``streamsep live``: arguments in, table and verdict out."""

from __future__ import annotations

import math
import os
import re
import signal
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer

import streamsep
from streamsep.config import LOOKAHEADS, STEMS
from streamsep.data.compose import compose_song
from streamsep.errors import OptionError, StreamsepError
from streamsep.live.core import ModelOptions
from tests.live import sound_server, stage
from tests.soak import clocks, paced
from tests.soak.table import Demand, report

HELP = """Soaks of streamsep live.

\b
Examples:
  python -m tests.soak live callbacks --block 256
  python -m tests.soak live callbacks --count 5000 --busy
  python -m tests.soak live clocks --minutes 30
  python -m tests.soak live loopback
  python -m tests.soak live song --server jack --song song.flac
"""

app = typer.Typer(
    help=HELP, no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
)

Model = Annotated[str, typer.Option(metavar="MODEL", help="A shipped model or the path of one.")]
Server = Annotated[str, typer.Option(metavar="NAME", help="pulse or jack.")]
SongFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A song.", show_default="a composed one")]


@app.command()
def callbacks(
    count: Annotated[int, typer.Option(metavar="N", help="Callbacks.")] = 10_000,
    block: Annotated[int, typer.Option(metavar="N", help="Samples of each.")] = 960,
    margin: Annotated[float, typer.Option(metavar="MS", help="As in streamsep live.")] = ModelOptions.margin,
    busy: Annotated[bool, typer.Option("--busy", help="Another program keeps one core busy.")] = False,
    spare: Annotated[bool, typer.Option(help="Keep a spare model process, as streamsep live does.")] = True,
    model: Model = "tiny",
) -> None:
    """Callbacks at the pace of a sound card: nothing late, nothing missing, no click; with --busy: no click."""
    song = _song(None)
    largest = paced.largest_step(song, model)
    with paced.core(ModelOptions(model, margin=margin, spare=spare)) as core:
        _wait_for_spare(core, spare)
        with paced.one_core_busy(busy):
            found = paced.run(core, song, largest, block, count)
    row = {
        "callbacks": found.callbacks,
        "overdue": found.overdue,
        "longest ms": found.longest,
        "late": found.late,
        "hurried": found.hurried,
        "gaps": found.fallbacks,
        "gap s": found.fallback_seconds,
        "drops": found.drops,
        "underruns": found.underruns,
        "clicks": found.clicks,
        "latency ms": " → ".join(f"{value:.0f}" for value in found.latency),
        "frame ms p50/99/max": "/".join(f"{value:.0f}" for value in found.compute),
    }
    demands = [
        Demand("no click: no step larger than the song's own", found.clicks == 0),
        Demand("no underrun", found.underruns == 0),
        Demand("latency grew by 80 ms at most", found.latency[1] - found.latency[0] <= 80.5),
    ]
    if not busy:
        demands += [
            Demand("no late frame", found.late == 0),
            Demand("no gap", found.fallbacks == 0),
            Demand("no drop", found.drops == 0),
        ]
    for line in found.said:
        typer.echo(f"said: {line}")
    report(f"{count} callbacks of {block}{', one core busy' if busy else ''}", [row], demands)


@app.command()
def kill(
    times: Annotated[int, typer.Option(metavar="N", help="How often.")] = 3,
    pause: Annotated[float, typer.Option(metavar="S", help="Seconds between.")] = 20.0,
    model: Model = "tiny",
) -> None:
    """kill -9 of the model process: the input stands in without a click, stems are back within 3 s, one line tells."""
    song, gaps = _song(None), []
    largest = paced.largest_step(song, model)
    with paced.core(ModelOptions(model, margin=40)) as core:
        _wait_for_spare(core, True)
        for _ in range(times):
            killed = False

            def end_it(seconds: float) -> None:
                nonlocal killed
                if seconds > 2 and not killed and core.supervisor.pid:
                    os.kill(core.supervisor.pid, signal.SIGKILL)
                    killed = True

            found = paced.run(core, song, largest, 960, round(pause * 50), end_it)
            _wait_for_spare(core, True)
            gaps.append(
                {
                    "gap s": found.fallback_seconds,
                    "gaps": found.fallbacks,
                    "clicks": found.clicks,
                    "underruns": found.underruns,
                    "lines": len(found.said),
                    "said": " | ".join(found.said),
                }
            )
    demands = [
        Demand("stems return within 3 s", all(0 < gap["gap s"] <= 3 for gap in gaps)),
        Demand("no click", all(gap["clicks"] == 0 for gap in gaps)),
        Demand("one line each", all(gap["lines"] == 1 for gap in gaps)),
    ]
    report("kill -9 of the model process", gaps, demands)


@app.command(name="clocks")
def clocks_(
    ppm: Annotated[float, typer.Option(metavar="N", help="How much faster the output's clock is.")] = 200.0,
    minutes: Annotated[float, typer.Option(metavar="N", help="Simulated; takes a tenth of it.")] = 30.0,
) -> None:
    """Two clocks apart, simulated: the fill stays within one frame, the pitch within one cent."""
    drift = clocks.simulate(ppm, minutes)
    rows = [
        {"minute": index + 1, "fill least ms": low, "fill most ms": high, "pitch error cents": cents}
        for index, (low, high, cents) in enumerate(drift.minutes)
    ]
    demands = [
        Demand("fill within one frame", clocks.within_a_frame(drift)),
        Demand("no underrun, no jump", drift.underruns == drift.jumps == 0),
        Demand("pitch within one cent", max(row[2] for row in drift.minutes) < 1),
        Demand(f"speed found: {drift.correction_ppm:+.0f} ppm", abs(drift.correction_ppm + ppm) < 20),
    ]
    report(f"{minutes:g} minutes, clocks {ppm:g} ppm apart", rows, demands)


@app.command()
def memory(
    minutes: Annotated[float, typer.Option(metavar="N", help="How long, in real time.")] = 30.0,
    server: Server = "pulse",
    model: Model = "tiny",
) -> None:
    """Resident memory of all processes at the end within 2 % of that of minute 2 (of the middle, when shorter)."""
    from_minute = min(2.0, minutes / 2)
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(server) as sound,
        stage.live(sound, Path(folder), "--model", model) as show,
    ):
        end, rows = time.monotonic() + 60 * minutes, []
        while time.monotonic() < end:
            time.sleep(min(15.0, 60 * minutes / 8))
            now = show.status[-1]
            rows.append({"minute": now["seconds"] / 60, "MB": now["memory_mb"], "late": now["late"]})
    first = next(row for row in rows if row["minute"] >= from_minute)
    growth = rows[-1]["MB"] / first["MB"] - 1
    report("memory", rows, [Demand(f"grew by {growth:+.2%} since minute {first['minute']:.1f}", growth <= 0.02)])


@app.command()
def loopback(
    server: Server = "jack", model: Model = "tiny", block: Annotated[int, typer.Option(metavar="N")] = 960
) -> None:
    """--loopback-test with the output wired to the input: measured equals computed within one block."""
    rows = []
    with _server(server) as sound:
        for lookahead in LOOKAHEADS:
            options = ("--model", model, "--lookahead", str(lookahead), "--block", str(block))
            text = stage.loopback_test(sound, *options)
            device, path, total, computed = [float(number) for number in re.findall(r"(-?\d+\.\d) ms", text)]
            rows.append(
                {
                    "lookahead": lookahead,
                    "device ms": device,
                    "model ms": path,
                    "total ms": total,
                    "computed ms": computed,
                    "off ms": total - computed,
                }
            )
    within = all(abs(row["off ms"]) <= block / 48 for row in rows)
    report(f"loopback on {server}", rows, [Demand("measured equals computed within one block", within)])


@app.command()
def song(
    server: Server = "pulse",
    song: SongFile = None,
    seconds: Annotated[float, typer.Option(metavar="N", help="Of the song.")] = 8.0,
    model: Model = "tiny",
) -> None:
    """A song through streamsep live: with all gains 1 itself, in karaoke what separate makes, stem by stem.

    Short, because later the correction of the clocks may move the sound by milliseconds: nothing that is heard, but
    then it cannot be compared sample by sample.
    """
    mixture = _song(song, seconds)
    offline = streamsep.load(model).separate(mixture, 48_000)
    wanted = mixture - offline["vocals"]
    heard, lost = {}, {}
    with tempfile.TemporaryDirectory() as folder, _server(server) as sound:
        for preset in ("all", "karaoke"):
            with stage.live(sound, Path(folder), "--preset", preset, "--model", model, "--margin", "40") as show:
                time.sleep(10)  # the spare loads
                heard[preset] = stage.aligned(sound.perform(mixture, Path(folder)), mixture)
                last = show.status[-1]
                lost[preset] = last["xruns"]
                typer.echo(f"{preset}: late {last['late']}, gaps {last['fallbacks']}, xruns {last['xruns']}")
    same = stage.residuals(heard["all"], mixture)
    loud = [dB for dB, part in zip(same, stage.windows(mixture), strict=True) if stage.level(part) > -45]
    loud = sorted(loud)[: max(1, len(loud) - lost["all"])]  # a block that the server loses spoils one second
    rows = []
    for stem in STEMS:
        live, separate = (stage.gain_of(offline[stem], sound) for sound in (heard["karaoke"], wanted))
        rows.append({"stem": stem, "live dB": live, "separate dB": separate, "off dB": live - separate})
    report(
        f"a song through {server}: what karaoke leaves of each stem",
        rows,
        [
            Demand(f"all gains 1: residual at most {loud[-1]:.1f} dB in any second without xrun", loud[-1] <= -60),
            Demand("karaoke as separate, within 0.5 dB", all(abs(row["off dB"]) <= 0.5 for row in rows)),
        ],
    )


def main(argv: list[str]) -> int:
    """Exit code: 1 when a demand does not hold, 2 for bad input."""
    try:
        app(argv, prog_name="python -m tests.soak live")
    except SystemExit as end:
        return int(end.code or 0)
    except StreamsepError as error:
        print(f"tests.soak live: {error}", file=sys.stderr)
        return 2
    return 0


def _song(path: Path | None, seconds: float = 20.0) -> paced.Sound:
    """``[2, n]`` at 48 kHz."""
    if path is None:
        return compose_song(1, seconds).mixture
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != 48_000:
        raise OptionError(f"'{path}' has {rate} Hz; give a song of 48000 Hz.")
    return np.ascontiguousarray(sound[: round(seconds * rate), [0, -1]].T)


def _server(name: str) -> AbstractContextManager[sound_server.Server]:
    programs = {"pulse": sound_server.PULSE, "jack": sound_server.JACK}
    if name not in programs:
        raise OptionError(f"unknown server '{name}'; choose pulse or jack.")
    reason = sound_server.missing(programs[name])
    if reason is not None:
        raise OptionError(f"no {name} server here: {reason}.")
    return getattr(sound_server, name)()


def _wait_for_spare(core: paced.Core, spare: bool) -> None:
    deadline = time.monotonic() + (120 if spare else -math.inf)
    while not core.supervisor.spare_ready and time.monotonic() < deadline:
        core.supervisor.check()
        time.sleep(0.1)
