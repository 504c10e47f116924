"""One stream for as long as is asked, among others that come and go; probed for drift, leaks and growth.

A probe opens a fresh stream, lets it hear only what the old one heard last, and compares tokens and sound. The level
tracker forgets slowly (1.5 s), so "last" is 32 seconds: long past every window, and past what the tracker remembers.
Where stems stand is remembered for longer, the longer the less of them is heard: that the fresh one is told.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import psutil
import torch
from torch import Tensor

from streamsep.engine.batch import Batch
from streamsep.engine.pages import PagePool
from streamsep.lm.pages import Pages, ring_pages
from streamsep.model.net import Net
from tests.model.small import SMALL

Sound = np.ndarray
HEARD = 800  # frames that a fresh stream hears before it is compared
COMPARED = 8  # frames
CONFIG = replace(SMALL, codec=replace(SMALL.codec, semantic_codebooks=2), lm=replace(SMALL.lm, order="wavefront"))


@dataclass(frozen=True)
class Probe:
    """``frame``: age of the old stream; ``tokens``: how many of how many differ from a fresh one's; ``error``: of the
    sound; ``free``: pages; ``resident``: bytes of the process.
    """

    frame: int
    tokens: int
    of: int
    error: float
    free: int
    resident: int


class Endless:
    """``step`` a frame of the old stream, ``probe`` to compare."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        net = Net(CONFIG).eval()
        net.select_kernels("cpu")
        self._rng = np.random.default_rng(seed)
        with torch.inference_mode():
            self.pool = PagePool(Pages(CONFIG.lm, 3 * ring_pages(CONFIG.lm), poison=True))
        self.batch = Batch(net, 3, exact=True, pool=self.pool)
        self.old = self.batch.open(0)
        self.frame = 0
        self._heard: deque[Sound] = deque(maxlen=HEARD)
        self._told: deque[tuple[Sound, Sound]] = deque(maxlen=COMPARED)
        self._places = self.batch._slots.state.child("mask").child("gains")["places"]
        self._placed: deque[Tensor] = deque(maxlen=COMPARED + 1)  # before each of these frames; sound overlaps
        self._guest: int | None = None
        loudness = 10 ** self._rng.uniform(-3, 0, 256)
        noise = self._rng.standard_normal((256, 2, 1_920)) * loudness[:, None, None]
        self._blocks = np.clip(0.3 * noise, -1, 1).astype(np.float32)

    def step(self) -> None:
        block = self._blocks[self._rng.integers(len(self._blocks))]
        self._placed.append(self._places[self.old].clone())
        stems = self._tick(self.old, block)
        self._heard.append(block)
        self._told.append(stems)
        self.frame += 1
        if self.frame % 97 == 0:
            self._visit()

    def probe(self) -> Probe:
        fresh = self.batch.open(0)
        told: deque[tuple[Sound, Sound]] = deque(maxlen=COMPARED)
        for left, block in zip(range(len(self._heard), 0, -1), self._heard, strict=True):
            if left == COMPARED + 1:
                with torch.inference_mode():
                    self._places[fresh] = self._placed[0]
            told.append(self._tick(fresh, block))
        self.batch.close(fresh)
        pairs = list(zip(self._told, told, strict=True))
        wrong = sum(int((a[0] != b[0]).sum()) for a, b in pairs)
        error = max(float(np.abs(a[1] - b[1]).max()) for a, b in pairs)
        gc.collect()
        resident = psutil.Process().memory_info().rss
        return Probe(self.frame, wrong, sum(a[0].size for a, _ in pairs), error, self.pool.free, resident)

    def _tick(self, slot: int, block: Sound) -> tuple[Sound, Sound]:
        stems = self.batch.tick({slot: block})[slot]
        codes = self.batch.codes(slot)
        assert codes is not None
        return codes, stems

    def _visit(self) -> None:
        """Somebody comes, or is parked and comes back, or goes."""
        if self._guest is None:
            self._guest = self.batch.open(int(self._rng.integers(-1, 3)))
        elif self._rng.random() < 0.5:
            parked = self.batch.save(self._guest)
            self.batch.close(self._guest)
            self._guest = self.batch.load(parked)
        else:
            self.batch.close(self._guest)
            self._guest = None


def run(frames: int, probes: int) -> Iterator[Probe]:
    """Probe at the end of each of ``probes`` equal parts of ``frames``."""
    endless = Endless()
    for _ in range(probes):
        for _ in range(frames // probes):
            endless.step()
        yield endless.probe()


def faults(probes: list[Probe], growth: int) -> list[str]:
    """What is wrong, in sentences. ``growth``: bytes by which the process may grow after the first probe."""
    found: list[str] = []
    for probe in probes:
        if probe.tokens or probe.error > 1e-5:
            found.append(f"old and fresh stream differ: {asdict(probe)}")
    ring = ring_pages(CONFIG.lm)
    if {probe.free for probe in probes} - {ring, 2 * ring}:  # with and without a guest
        found.append(f"pages are missing: {[probe.free for probe in probes]}")
    if (grown := max(probe.resident for probe in probes[1:]) - probes[0].resident) > growth:
        found.append(f"the process has grown by {grown / 1e6:.1f} MB")
    return found
