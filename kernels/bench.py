"""`python -m kernels.bench`: every op, every backend, against what the machine can do at best. Knows clocks, no model.

Each op says in `cost()` what it must at least compute and move. Its floor is the longer of the two at the measured
matmul rate and copy bandwidth; a small op whose weights fit a cache can be faster than that floor when warm.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from kernels.inputs import contract, make_inputs, ops
from kernels.machine import Machine, measure_machine, median_time
from kernels.reference.case import Case, Cost
from kernels.registry import IMPLEMENTATIONS, KernelError, resolve
from kernels.rivals import rivals

_EXAMPLES = """examples:
  python -m kernels.bench                                      every op, plain and fast
  python -m kernels.bench --op depth_decode --compile          one op, against torch.compile (compiling takes minutes)
  python -m kernels.bench --op paged_attention --device cuda --dtype bfloat16 --compile
  python -m kernels.bench --json > kernels.json
"""


@dataclass(frozen=True)
class Row:
    """One measurement. Times in microseconds; ``problem`` instead of times where something cannot run."""

    op: str
    case: str
    backend: str
    warm_us: float | None = None
    cold_us: float | None = None
    bytes: int = 0
    flops: int = 0
    floor_us: float = 0.0
    percent_of_floor: float | None = None  # 100: as fast as the machine allows, cold
    problem: str | None = None


def measure(op: str, case: Case, machine: Machine, dtype: torch.dtype, seconds: float, compiles: bool) -> list[Row]:
    """One case of one op: all backends that serve the device, then what else does the same work."""
    cost: Cost = contract(op).cost(**case.sizes)
    moved = cost.bytes * torch.finfo(dtype).bits // 32
    inputs = make_inputs(op, case.sizes, dtype, machine.device)
    reference = resolve(op, machine.device, "reference").function
    calls: dict[str, Callable[[], Any] | str] = {}
    for known in IMPLEMENTATIONS:
        if known.op == op and machine.device in known.devices:
            calls[known.backend] = _call(op, known.backend, machine.device, inputs)
    calls.update(rivals(op, inputs, compiles, reference))
    return [_row(op, case.name, name, call, cost.flops, moved, machine, seconds) for name, call in calls.items()]


def _call(op: str, backend: str, device: str, inputs: tuple[Any, ...]) -> Callable[[], Any] | str:
    try:
        function = resolve(op, device, backend).function
    except KernelError as error:
        return str(error)
    return lambda: function(*inputs)


def _row(op: str, case: str, name: str, call: Any, flops: int, moved: int, machine: Machine, seconds: float) -> Row:
    floor = 1e6 * machine.floor(flops, moved)
    label = "reference (torch eager)" if name == "reference" else name
    if isinstance(call, str):
        return Row(op, case, label, bytes=moved, flops=flops, floor_us=floor, problem=call)
    try:
        warm = 1e6 * median_time(call, machine.device, seconds)
        cold = 1e6 * median_time(call, machine.device, seconds, cold=True)
    except Exception as error:  # a rival may break in any way; the others' figures still count
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return Row(op, case, label, bytes=moved, flops=flops, floor_us=floor, problem=problem)
    return Row(op, case, label, warm, cold, moved, flops, floor, 100 * floor / cold)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m kernels.bench", description="Time the ops.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--op", action="append", metavar="NAME", help="may be repeated; every op when left out")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1, help="of torch, on a CPU (default: 1)")
    parser.add_argument("--seconds", type=float, default=0.2, help="on the clock for each figure (default: 0.2)")
    parser.add_argument("--compile", action="store_true", help="torch.compile and FlexAttention too; takes minutes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    chosen = options.op or ops()
    if unknown := [op for op in chosen if op not in ops()]:
        parser.error(f"there is no op '{unknown[0]}'; choose one of {', '.join(ops())}.")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; use --device cpu.")
    if options.threads < 1 or options.seconds <= 0:
        parser.error("--threads must be at least 1, --seconds more than 0.")
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    rows: list[Row] = []
    with torch.inference_mode():
        machine = measure_machine(options.device, dtype)
        if not options.json:
            print(_heading(machine))
        for op in chosen:
            for case in contract(op).cases():
                new = measure(op, case, machine, dtype, options.seconds, options.compile)
                rows += new
                if not options.json:
                    print(_table(new), flush=True)
    if options.json:
        print(
            json.dumps(
                {"machine": asdict(machine), "dtype": options.dtype, "rows": [asdict(row) for row in rows]}, indent=1
            )
        )
    return 0


def _heading(machine: Machine) -> str:
    return (
        f"{machine.device}, {machine.threads} thread(s): copies {machine.bandwidth / 1e9:.1f} GB/s, "
        f"multiplies {machine.rate / 1e9:.0f} GFLOP/s"
    )


def _table(rows: list[Row]) -> str:
    first = rows[0]
    work = f"{first.bytes / 1e6:.3f} MB, {first.flops / 1e6:.3f} MFLOP, floor {first.floor_us:.1f} us"
    lines = [
        f"\n{first.op}, {first.case}: {work}",
        f"  {'':<26}{'warm us':>10}{'cold us':>10}{'of floor':>10}{'GB/s':>8}{'GFLOP/s':>9}",
    ]
    for row in rows:
        if row.warm_us is None or row.cold_us is None:
            lines.append(f"  {row.backend:<26}{row.problem}")
            continue
        lines.append(
            f"  {row.backend:<26}{row.warm_us:>10.1f}{row.cold_us:>10.1f}{row.percent_of_floor:>9.0f}%"
            f"{row.bytes / row.cold_us / 1e3:>8.1f}{row.flops / row.warm_us / 1e3:>9.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
