"""What a call launches, by the time it takes: kernels on a GPU, those of a graph too; torch's operators on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

_CALLS = 10


@dataclass(frozen=True)
class Launched:
    """``calls`` and microseconds of one call of what was asked for."""

    name: str
    calls: float
    us: float


def launched(call: Callable[[], object], device: str) -> list[Launched]:
    """Most time first. On a CPU an operator's time is its own, without that of those that it calls."""
    on_gpu = device == "cuda"
    for _ in range(3):  # graphs are made, clocks rise
        call()
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as run:
        for _ in range(_CALLS):
            call()
        if on_gpu:
            torch.cuda.synchronize()
    kind = DeviceType.CUDA if on_gpu else DeviceType.CPU  # on a GPU without the host's calls that launch
    found = [
        Launched(
            each.key,
            each.count / _CALLS,
            (each.self_device_time_total if on_gpu else each.self_cpu_time_total) / _CALLS,
        )
        for each in run.key_averages()
        if each.device_type == kind
    ]
    return sorted(found, key=lambda each: -each.us)


def table(found: Sequence[Launched], most: int = 40) -> list[str]:
    """Lines; the sum first. The time between kernels is in none of them."""
    total = sum(each.us for each in found)
    lines = [f"{'calls':>8}{'us':>11}{'share':>8}  name"]
    lines.append(f"{sum(each.calls for each in found):>8.0f}{total:>11.1f}{'100 %':>8}  all")
    for each in found[:most]:
        share = f"{100 * each.us / max(total, 1e-9):.1f} %"
        lines.append(f"{each.calls:>8.1f}{each.us:>11.1f}{share:>8}  {each.name[:90]}")
    return lines
