"""How late the stems are on every way they take: sound in to sound out, by cross-correlation, on this machine.

    python -m tests.bench.delays                          # engine, server, page, pulse, jack
    python -m tests.bench.delays --only pulse,jack --lookahead -1 --json

Each way is measured by a command of ``clients.profile`` in a process of its own (the page by ``tests.bench.page``),
with the server, the browser, the sound server and the ``streamsep live`` that it needs. A way that cannot be had here
is named with the reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamsep.config import SAMPLE_RATE
from streamsep.engine.separator import load
from tests.bench import page
from tests.clients import chrome
from tests.live import sound_server
from tests.live.player import players, wire
from tests.live.sound_server import JACK, PULSE, Server, wait_for
from tests.live.stage import live
from tests.serve.running import free_port, serving

Found = dict[str, Any]


def engine(options: argparse.Namespace, _: Path) -> Found:
    return _command("engine", options, "--model", options.model, "--lookahead", str(options.lookahead))


def server(options: argparse.Namespace, _: Path) -> Found:
    port = free_port()
    with serving(options.model, port, "--max-sessions", "1", log=subprocess.DEVNULL):
        url = f"ws://127.0.0.1:{port}/v1"
        return _command("server", options, "--url", url, "--lookahead", str(options.lookahead))


def browser(options: argparse.Namespace, folder: Path) -> Found:
    if reason := chrome.missing():
        return {"missing": reason}
    port = free_port()
    with serving(options.model, port, "--max-sessions", "1", log=subprocess.DEVNULL):
        return page.measure(f"http://127.0.0.1:{port}/", options.lookahead, options.seconds, folder)


def pulse(options: argparse.Namespace, folder: Path) -> Found:
    if reason := sound_server.missing(PULSE):
        return {"missing": reason}
    with sound_server.pulse_stage() as running:
        return _live(running, options, folder, "pulse", None)


def jack(options: argparse.Namespace, folder: Path) -> Found:
    if reason := sound_server.missing(JACK):
        return {"missing": reason}
    with sound_server.jack(channels=4) as running:
        return _live(running, options, folder, "system, JACK", lambda: _plug(running))


WAYS: dict[str, Callable[[argparse.Namespace, Path], Found]] = {
    "engine": engine,
    "server": server,
    "page": browser,
    "pulse": pulse,
    "jack": jack,
}


def _live(
    running: Server, options: argparse.Namespace, folder: Path, device: str, plug: Callable[[], None] | None
) -> Found:
    """``streamsep live`` between the analyser's cables; all stems at 0 dB, so that the sum is the input."""
    arguments = ("--preset", "all", "--model", options.model, "--lookahead", str(options.lookahead))
    with live(running, folder, *arguments, "--no-spare") as show:
        command = [sys.executable, "-m", "clients.profile.device", "--device", device, "--json"]
        seconds = str(max(6.0, options.seconds))
        process = subprocess.Popen(
            [*command, "--seconds", seconds], env=running.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            if plug is not None:
                plug()
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        if process.returncode:
            return {"missing": err.strip().splitlines()[-1]}
        wait_for(lambda: bool(show.status), 10, "streamsep live writes no status")
        now = show.status[-1]
        more = {name: now[name] for name in ("latency", "late", "underruns", "xruns", "fallbacks") if name in now}
        return {**json.loads(out), "live": more}


def _plug(running: Server) -> None:
    """The analyser, which comes last, to its own reference and to streamsep, and streamsep to its other inputs."""

    def clients() -> list[str]:
        return players(running.run("jack_lsp").stdout)

    wait_for(lambda: len(clients()) > 1, 30, "the analyser does not come to JACK")
    streamsep, *_, mine = clients()
    for channel in (0, 1):
        wire(f"{mine}:out_{channel}", f"{mine}:in_{channel}", running.env)
        wire(f"{mine}:out_{channel}", f"{streamsep}:in_{channel}", running.env)
        wire(f"{streamsep}:out_{channel}", f"{mine}:in_{channel + 2}", running.env)


def _command(module: str, options: argparse.Namespace, *arguments: str) -> Found:
    command = [sys.executable, "-m", f"clients.profile.{module}", "--json", "--seconds", str(options.seconds)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}
    return json.loads(done.stdout)


def show(found: dict[str, Found], own: float) -> None:
    """A line a way."""
    print(f"sound in to sound out; the model's own {own:.0f} ms are in it\n")
    for way, one in found.items():
        if "missing" in one:
            print(f"{way:8} {one['missing']}")
            continue
        low, high = one.get("range_ms", (one["delay_ms"], one["delay_ms"]))
        more = {name: one[name] for name in ("gaps", "underruns", "page_says", "xruns") if name in one} | one.get(
            "live", {}
        )
        said = ", ".join(f"{name} {value}" for name, value in more.items())
        print(f"{way:8} {one['delay_ms']:7.1f} ms ({low:.1f} to {high:.1f}), likeness {one['likeness']:.3f}; {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(WAYS), help=f"ways out of {','.join(WAYS)}")
    parser.add_argument("--lookahead", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0, help="of noise on each way")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = [name.strip() for name in options.only.split(",")]
    if unknown := [name for name in chosen if name not in WAYS]:
        parser.error(f"unknown way '{unknown[0]}'; choose among {', '.join(WAYS)}")
    own = 1_000 * load(options.model).stream(SAMPLE_RATE, 2, options.lookahead).latency / SAMPLE_RATE
    found: dict[str, Found] = {}
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            found[name] = WAYS[name](options, Path(folder))
    if options.json:
        print(json.dumps({"own_ms": own, "lookahead": options.lookahead, "ways": found}, indent=2))
    else:
        show(found, own)


if __name__ == "__main__":
    main()
