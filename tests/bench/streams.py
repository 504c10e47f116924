"""``python -m tests.bench.streams``: how long one frame of N streams takes on one device, and how many fit into 40 ms.

A tick is what a server does: sound of every stream from the host, features, Conformer, language model, masks, render,
stems back to the host. ``device`` is the frame alone, between two events of the GPU, or on a CPU the same call without
the gathering.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

from kernels.machine import times
from streamsep.config import FRAME, SAMPLE_RATE
from streamsep.engine.batch import Batch
from streamsep.engine.frame import FrameGraphs, FrameStep, Mode
from streamsep.engine.pages import PagePool
from streamsep.engine.parts import Parts
from streamsep.engine.separator import Separator, load
from streamsep.engine.settings import PLAIN
from streamsep.engine.slots import Slots
from streamsep.errors import StreamsepError
from streamsep.lm.pages import Pages, ring_pages
from streamsep.model.net import Net
from tests.bench.launched import launched, table

FRAME_MS = 1_000 * FRAME / SAMPLE_RATE
MOST = 16_384
_EXAMPLES = """examples:
  python -m tests.bench.streams --streams 1 8
  python -m tests.bench.streams --device cuda --streams 1 64 512 --most
  python -m tests.bench.streams --device cuda --streams 1 512 --kernels    and where the frame's time goes
"""


@dataclass(frozen=True)
class Ticks:
    """Milliseconds of a tick of ``streams`` streams, over ``ticks`` of them, and of its frame on the device alone."""

    streams: int
    ticks: int
    device: float
    p50: float
    p99: float
    worst: float


def measure(separator: Separator, streams: int, ticks: int) -> Ticks:
    batch = Batch(separator.net, streams)
    slots = [batch.open(0) for _ in range(streams)]
    rng = np.random.default_rng(streams)
    sound = rng.standard_normal((8, streams, 2, FRAME)).astype(np.float32) * np.float32(0.1)
    ticked = []
    for number in range(ticks + 10):
        blocks = dict(zip(slots, sound[number % len(sound)], strict=True))
        began = time.perf_counter()
        batch.tick(blocks)
        ticked.append(1_000 * (time.perf_counter() - began))
    ticked = ticked[10:]  # recording, caches, clocks
    cuts = np.percentile(ticked, (50, 99))
    return Ticks(streams, ticks, device_ms(separator.net, streams), float(cuts[0]), float(cuts[1]), max(ticked))


@torch.inference_mode()
def device_ms(net: Net, streams: int) -> float:
    """Median milliseconds of the frame alone."""
    device = next(net.parameters()).device.type
    return 1_000 * statistics.median(times(frame(net, streams), device, 50))


@torch.inference_mode()
def kernels(net: Net, streams: int) -> list[str]:
    """Lines: what the frame alone launches."""
    return table(launched(frame(net, streams), next(net.parameters()).device.type))


def frame(net: Net, streams: int) -> Callable[[], object]:
    """The frame alone, of as many streams, ready to be called."""
    parts = Parts(net, PLAIN)
    pool = PagePool(Pages(net.config.lm, streams * ring_pages(net.config.lm), parts.device))
    slots = Slots(parts, streams, pool)
    for _ in range(streams):
        slots.open(0, None)
    graphs = FrameGraphs(FrameStep(parts, slots), slots)
    mixture = 0.1 * torch.randn(streams, 2, FRAME, device=parts.device)
    everyone = torch.ones(streams, dtype=torch.bool, device=parts.device)
    return partial(graphs, Mode(), mixture, everyone, everyone)


def most(separator: Separator, ticks: int) -> list[Ticks]:
    """Twice as many streams until the 99th percentile is above the frame, then the middle between, to a sixteenth."""
    found, good, bad = [], 0, 0
    streams = 64
    while streams <= MOST:
        found.append(measure(separator, streams, ticks))
        good, bad = (streams, bad) if found[-1].p99 < FRAME_MS else (good, streams)
        if bad and bad - good <= max(1, good // 16):
            break
        streams = (good + bad) // 2 if bad else 2 * streams
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m tests.bench.streams", description="Time ticks of many streams.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--model", default="tiny", help="a shipped model or the folder of one (default: tiny)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 8], help="how many at once (default: 1 8)")
    parser.add_argument("--most", action="store_true", help="and look for the most whose 99th percentile is in time")
    parser.add_argument("--ticks", type=int, default=200, help="of each number of streams (default: 200)")
    parser.add_argument("--kernels", action="store_true", help="and print what a frame launches, by time; not in JSON")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    if options.ticks < 1 or min(options.streams, default=1) < 1:
        parser.error("--ticks and --streams must be 1 or more.")
    try:
        separator = load(options.model, options.device)
    except StreamsepError as error:
        parser.error(str(error))
    rows = [measure(separator, streams, options.ticks) for streams in options.streams]
    if options.most:
        rows += most(separator, options.ticks)
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    if options.json:
        print(json.dumps({"device": name, "model": options.model, "rows": [asdict(row) for row in rows]}, indent=1))
        return 0
    print(f"{options.model} on {name}, {options.ticks} ticks each; a frame is {FRAME_MS:.0f} ms")
    print(f"{'streams':>8}{'device ms':>11}{'tick p50':>10}{'p99':>8}{'worst':>8}")
    for row in rows:
        print(f"{row.streams:>8}{row.device:>11.2f}{row.p50:>10.2f}{row.p99:>8.2f}{row.worst:>8.2f}")
    in_time = [row.streams for row in rows if row.p99 < FRAME_MS]
    print(f"in time: {max(in_time, default=0)} streams")
    for streams in options.streams if options.kernels else ():
        print(f"\na frame of {streams} streams:", *kernels(separator.net, streams), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
