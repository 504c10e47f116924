"""What a device can do at best, measured: copy bandwidth and matmul rate. Knows clocks and buffers; knows no op."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Call = Callable[[], object]

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
    """Median seconds of a call over about ``seconds`` of them; ``cold``: caches are flushed before each."""
    before = None
    if cold:
        dirt = torch.empty(_FLUSH[device], dtype=torch.uint8, device=device)
        before = dirt.zero_
    first = max(min(times(call, device, 3, before)), 1e-7)
    return statistics.median(times(call, device, max(5, min(2_000, int(seconds / first))), before))


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
