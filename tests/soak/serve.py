"""``python -m tests.soak serve isolation | fuzz``: a real server process under a long strain. Exit code 1 on a fault.

The server runs with --exact, so that every sample can be compared bit by bit with a run alone; --batched compares at
-80 dBFS instead, with sessions that share steps as they do in use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import IO

import torch

from streamsep.engine.separator import load
from streamsep.model.checkpoint import save_model
from tests.model.small import small_net
from tests.serve.running import free_port, serving
from tests.soak import serve_fuzz, serve_isolation

HARMLESS = re.compile(r" (INFO|WARNING) ")  # lines of the server's log that do not explain a fault
PATIENCE = 2.0  # seconds for which the server waits for those who come back: many must be let go in a soak


def main(argv: list[str]) -> int:
    """Run one soak and print its report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak serve", description=__doc__)
    parser.add_argument("--model", help="a shipped model or a folder; a small one of random weights if left out")
    parser.add_argument("--seed", type=int, default=0)
    commands = parser.add_subparsers(dest="command", required=True)
    isolation = commands.add_parser("isolation", help="no sample of a session ever reaches another")
    isolation.add_argument("--minutes", type=float, default=10)
    isolation.add_argument("--sessions", type=int, default=8)
    isolation.add_argument("--batched", action="store_true", help="sessions share steps; compare at -80 dBFS")
    fuzz = commands.add_parser("fuzz", help="whatever is sent, nobody else notices")
    fuzz.add_argument("--messages", type=int, default=100_000)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        model = args.model
        if model is None:
            model = str(Path(folder) / "small")
            save_model(Path(model), small_net(), torch.float32)
        torch.set_num_threads(1)
        with (Path(folder) / "log").open("w+") as log:
            report = _isolation(args, model, log) if args.command == "isolation" else _fuzz(args, model, log)
            if report.faults:
                log.seek(0)
                sys.stderr.writelines(line for line in log if not HARMLESS.search(line))
    print(json.dumps(asdict(report), indent=2))
    return 1 if report.faults else 0


def _isolation(args: argparse.Namespace, model: str, log: IO[str]) -> serve_isolation.Report:
    port = free_port()
    options = [] if args.batched else ["--exact"]
    places = ("--max-sessions", str(args.sessions), "--resume-time", str(PATIENCE), "--threads", "1")
    # Before the server: processes that compile kernels side by side may get code that differs in the last bit.
    judge = serve_isolation.Judge(load(model), 1e-4 if args.batched else 0.0)
    with serving(model, port, *places, *options, log=log):
        run = serve_isolation.isolation(f"ws://127.0.0.1:{port}/v1", judge, args.sessions, 60 * args.minutes, args.seed)
        return asyncio.run(run)


def _fuzz(args: argparse.Namespace, model: str, log: IO[str]) -> serve_fuzz.Report:
    port = free_port()
    times = ("--resume-time", str(PATIENCE), "--idle-timeout", "5", "--threads", "1")
    options = ("--max-sessions", "16", "--exact", *times)
    separator = load(model)  # before the server, see above
    with serving(model, port, *options, token=serve_fuzz.TOKEN, log=log) as process:
        target = serve_fuzz.Target(f"http://127.0.0.1:{port}/", PATIENCE, process.pid)
        return asyncio.run(serve_fuzz.fuzz(target, separator, args.messages, args.seed))
