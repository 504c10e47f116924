"""``python -m tests.soak engine long | pages``: a stream of hours, and sessions without number. Exit code 1 on a fault.

A small net of random weights: the shapes are those of the real one, only smaller.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import asdict

from streamsep.engine.threads import use_threads
from tests.engine import endless
from tests.engine.world import KINDS, World

GROWTH = 8 << 20  # bytes by which a process may grow after its first tenth


def main(argv: list[str]) -> int:
    """Run one soak; a line of JSON for every part, then the verdict."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    long = commands.add_parser("long", help="one stream: memory and pages stay flat, tokens do not drift")
    long.add_argument("--frames", type=int, default=1_000_000, help="of 40 ms; a million are 11 hours")
    pages = commands.add_parser("pages", help="random joins, leaves, pauses and parks: no leak, nothing overheard")
    pages.add_argument("--operations", type=int, default=100_000)
    pages.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    use_threads(1)
    return _long(args.frames) if args.command == "long" else _pages(args.operations, args.seed)


def _long(frames: int, probes: int = 10) -> int:
    started, kept = time.monotonic(), list[endless.Probe]()
    for probe in endless.run(frames, probes):
        kept.append(probe)
        print(json.dumps({**asdict(probe), "seconds": round(time.monotonic() - started, 1)}), flush=True)
    return _verdict(endless.faults(kept, GROWTH))


def _pages(operations: int, seed: int) -> int:
    rng, world = random.Random(seed), World()
    for done in range(1, operations + 1):
        what = rng.choice(("join", "join", "leave", "pause", "park", "resume", "move", "tick"))
        if what == "join":
            world.join(rng.randrange(len(KINDS)), rng.randrange(3))
        elif what == "tick":
            world.tick(rng.randrange(256))
        elif world.players:
            getattr(world, what)(rng.choice(list(world.players)))
        world.check()
        if done % max(1, operations // 10) == 0:
            print(json.dumps({"operations": done, **world.counts, "free": world.scheduler.pool.free}), flush=True)
    for name in list(world.players):
        world.leave(name)
    world.check()
    pool = world.scheduler.pool
    return _verdict([] if pool.free == pool.pages.count else [f"{pool.pages.count - pool.free} pages are missing"])


def _verdict(faults: list[str]) -> int:
    for fault in faults:
        print(fault)
    print("failed" if faults else "passed")
    return int(bool(faults))
