"""What a device can do at best, measured: copy bandwidth and matmul rate. Knows clocks and buffers; knows no op."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from kernels.graph import record

Call = Callable[[], object]

_CALLS = 20  # in a graph, whose own start costs as much as a small op
_FLUSH = {"cpu": 96 << 20, "cuda": 256 << 20}  # bytes that push everything else out of the last cache


@dataclass(frozen=True)
class Machine:
    """``bandwidth`` in bytes a second, read plus written, of a large copy; ``rate`` in flops a second of a matmul."""

    device: str
    threads: int
    bandwidth: float
    rate: float

    def floor(self, flops: int, bytes_: int) -> float:
        """Seconds that the work takes at best."""
        return max(bytes_ / self.bandwidth, flops / self.rate)


def measure_machine(device: str, dtype: torch.dtype = torch.float32) -> Machine:
    source = torch.ones(_FLUSH[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    size = 1024 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device).to(dtype)
    copied = min(times(lambda: target.copy_(source), device, 10))
    multiplied = min(times(lambda: a @ a, device, 10))
    return Machine(device, torch.get_num_threads(), 2 * source.numel() / copied, 2 * size**3 / multiplied)


def times(call: Call, device: str, repeats: int, before: Call | None = None) -> list[float]:
    """Seconds of each of ``repeats`` calls after two that warm up; ``before`` runs ahead of each, untimed."""
    return [_once(call, device, before) for _ in range(repeats + 2)][2:]


def median_time(call: Call, device: str, seconds: float, cold: bool = False) -> float:
    """Median seconds of a call over about ``seconds`` of them; ``cold``: caches are flushed before each.

    On a GPU calls are replayed from a graph, as the engine does it, so that the host's time is not in the figure; what
    cannot be recorded is timed call by call.
    """
    if device == "cuda":
        try:
            return _replayed(call, seconds, cold)
        except RuntimeError:
            torch.cuda.synchronize()
    before = None
    if cold:
        dirt = torch.empty(_FLUSH[device], dtype=torch.uint8, device=device)
        before = dirt.zero_
    first = max(min(times(call, device, 3, before)), 1e-7)
    return statistics.median(times(call, device, max(5, min(2_000, int(seconds / first))), before))


def _replayed(call: Call, seconds: float, cold: bool) -> float:
    """Of graphs of many calls; cold, of calls with a flush before each, less the flushes alone."""
    dirt = torch.empty(_FLUSH["cuda"], dtype=torch.uint8, device="cuda")

    def flushed() -> None:
        dirt.zero_()
        call()

    whole = _replay_time(flushed if cold else call, seconds)
    return max(whole - _replay_time(dirt.zero_, seconds), 1e-9) if cold else whole


def _replay_time(call: Call, seconds: float) -> float:
    def calls() -> None:
        for _ in range(_CALLS):
            call()

    graph, _ = record(calls)
    first = max(min(times(graph.replay, "cuda", 3)), 1e-6)
    return statistics.median(times(graph.replay, "cuda", max(5, min(500, int(seconds / first))))) / _CALLS


def _once(call: Call, device: str, before: Call | None) -> float:
    if before is not None:
        before()
    if device == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1_000
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
