"""The race: a process for every model, one round after the other, each model in every round. Knows processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.peers.peer import PEERS, Peer


@dataclass
class Runner:
    """A model's process. ``missing``: why there is none."""

    peer: Peer
    process: subprocess.Popen[str]
    ready: dict[str, Any]
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def missing(self) -> str | None:
        return self.ready.get("missing")

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return _line(self.process)

    def end(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def start(peer: Peer, threads: int, song: Path) -> Runner:
    """Launch a model's process and wait for its first stem."""
    command = [sys.executable, "-m", "tests.bench.peers.worker", str(PEERS.index(peer))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        [*command, str(time.perf_counter_ns()), str(threads), str(song)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    return Runner(peer, process, _line(process))


def race(
    peers: Sequence[Peer],
    song: Path,
    threads: int,
    rounds: int,
    seconds: float,
    budget: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Measure all; the first round is a warm-up and does not count. Gives a row for every peer that is there."""
    runners: list[Runner] = []
    missing: dict[str, str] = {}
    try:
        for peer in peers:
            tell(f"starting {peer.name} …")
            runner = start(peer, threads, song)
            if runner.missing is None:
                runners.append(runner)
            else:
                missing[peer.name] = f"{runner.missing} (pip install {peer.package})"
                runner.end()
        for number in range(rounds + 1):
            tell("warming up …" if number == 0 else f"round {number} of {rounds} …")
            for runner in runners:
                part = seconds if number else min(seconds, 1.0)
                said = runner.ask(do="round", start=number * seconds, seconds=part, budget=budget if number else 0.5)
                if number:
                    runner.rounds.append(said)
        tell("latency and operations …")
        rows = [_row(runner, runner.ask(do="latency"), runner.ask(do="count")) for runner in runners]
    finally:
        for runner in runners:
            runner.end()
    _ratios(rows)
    return {"rows": rows, "missing": missing}


def _row(runner: Runner, latency: dict[str, Any], count: dict[str, Any]) -> dict[str, Any]:
    peer = runner.peer
    factors = [sum(one["times"]) / one["seconds"] for one in runner.rounds]
    times = np.concatenate([one["times"] for one in runner.rounds])
    samples = max(one["waited"] for one in runner.rounds) if latency["click"] is None else latency["click"]
    algorithmic = 1_000 * samples / peer.rate
    compute = 1_000 * float(np.median(times))
    return {
        "name": peer.name,
        "stems": peer.stems,
        "weights": peer.weights,
        "how": peer.how,
        "real_time_factor": round(float(np.median(factors)), 4),
        "real_time_factor_range": [round(f(factors), 4) for f in (min, max)],
        "step_ms": round(compute, 3),
        "latency_ms": round(algorithmic, 2),
        "latency_and_step_ms": round(algorithmic + compute, 2),
        "latency_by": "samples in and out" if latency["click"] is None else "click",
        "gflops_per_second": round(count["flops_per_second"] / 1e9, 3),
        "parameters": runner.ready["parameters"],
        "peak_mb": round(count["peak_mb"], 1),
        "cold_start_s": round(runner.ready["cold_start_s"], 2),
    }


def _ratios(rows: list[dict[str, Any]]) -> None:
    """Every row's time and operations for a second of sound over those of the first."""
    for row in rows:
        for name in ("real_time_factor", "gflops_per_second"):
            row[f"{name}_ratio"] = round(row[name] / rows[0][name], 3)


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    return json.loads(line) if line else {"missing": f"its process ended with code {process.wait()}"}
