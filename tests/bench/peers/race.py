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


def start(peer: Peer, threads: int, device: str, song: Path) -> Runner:
    """Launch a model's process and wait for its first stem."""
    command = [sys.executable, "-m", "tests.bench.peers.worker", str(PEERS.index(peer))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    process = subprocess.Popen(
        [*command, str(time.perf_counter_ns()), str(threads), device, str(song)],
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
    count: bool = True,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure all; the first round is a warm-up and does not count. Gives a row for every peer that is there.

    Without ``rounds`` a row has no times, without ``count`` no latency by click and no operations: what needs a quiet
    machine can be measured apart from what does not.
    """
    runners: list[Runner] = []
    missing: dict[str, str] = {}
    try:
        for peer in peers:
            tell(f"starting {peer.name} …")
            runner = start(peer, threads, device, song)
            if runner.missing is None:
                runners.append(runner)
            else:
                missing[peer.name] = f"{runner.missing} (pip install {peer.package}; see --help)"
                runner.end()
        for number in range(rounds + 1 if rounds else 0):
            tell("warming up …" if number == 0 else f"round {number} of {rounds} …")
            for runner in runners:
                part = seconds if number else min(seconds, 1.0)
                said = runner.ask(do="round", start=number * seconds, seconds=part, budget=budget if number else 0.5)
                if number:
                    runner.rounds.append(said)
                    tell(f"  {runner.peer.name}: {1_000 * sum(said['times']) / len(said['times']):.1f} ms a step")
        rows = []
        for runner in runners:
            row = {**_identity(runner), **(_times(runner) if rounds else {})}
            if not rounds:
                runner.ask(do="round", start=0, seconds=0.5, budget=0.5)  # for its memory
            row |= {name: round(most, 1) for name, most in runner.ask(do="memory").items()}
            if count:
                tell(f"latency and operations of {runner.peer.name} …")
                row |= _counts(runner)
            rows.append(row)
    finally:
        for runner in runners:
            runner.end()
    _ratios(rows)
    return {"rows": rows, "missing": missing}


def _identity(runner: Runner) -> dict[str, Any]:
    peer = runner.peer
    return {
        "name": peer.name,
        "stems": peer.stems,
        "weights": peer.weights,
        "how": peer.how,
        "parameters": runner.ready["parameters"],
    }


def _times(runner: Runner) -> dict[str, Any]:
    """``step_ms``: a step that computes: where only some do, as at lookahead -1, those count (95 % take less)."""
    factors = [sum(one["times"]) / one["seconds"] for one in runner.rounds]
    slow = [float(np.percentile(one["times"], 95)) for one in runner.rounds]
    return {
        "real_time_factor": round(float(np.median(factors)), 4),
        "real_time_factor_range": [round(f(factors), 4) for f in (min, max)],
        "step_ms": round(1_000 * float(np.median(slow)), 3),
        "cold_start_s": round(runner.ready["cold_start_s"], 2),
    }


def _counts(runner: Runner) -> dict[str, Any]:
    found = runner.ask(do="latency")
    return {
        "latency_ms": round(1_000 * found["samples"] / runner.peer.rate, 2),
        "latency_by": found["by"],
        "gflops_per_second": round(runner.ask(do="count")["flops_per_second"] / 1e9, 3),
    }


def _ratios(rows: list[dict[str, Any]]) -> None:
    """Every row's time for a second of sound over that of the first, which ran beside it."""
    for row in rows:
        if "real_time_factor" in row:
            row["real_time_factor_ratio"] = round(row["real_time_factor"] / rows[0]["real_time_factor"], 3)


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    return json.loads(line) if line else {"missing": f"its process ended with code {process.wait()}"}
