"""Compile what the ops of the Triton backend launch for a GPU that need not be there; run nothing.

    python -m tests.kernels.gpu_compiler bfloat16 90

The interpreter takes much that the compiler refuses. A line ``op kernel shared stack`` for each piece of code: bytes of
shared memory of a program, and of the stack of each thread, where lies what its registers do not hold. Exit code 1 and
a traceback at the first kernel that does not compile. Must be a process of its own: Triton is told before it is
imported whether it interprets.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

os.environ["TRITON_INTERPRET"] = "0"

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from kernels.inputs import Inputs, contract, make_inputs
from kernels.reference.depth_decode import Choice
from kernels.registry import IMPLEMENTATIONS
from kernels.triton import launch

FLOAT32 = ("rvq_encode",)  # take nothing else


class Elsewhere:
    """A driver of a GPU of another machine: Triton asks it what to compile for."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


def stack_of(binary: bytes) -> int:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return max(int(size) for size in re.findall(r"STACK:(\d+)", text))


def calls(op: str, dtype: torch.dtype) -> Iterator[tuple[Inputs, dict[str, Any]]]:
    """Arguments of the op: its first case and its last, and what else has other kernels, or other sizes of them."""
    cases = contract(op).cases()
    sizes = [cases[0].sizes, cases[-1].sizes]
    if op == "paged_attention":
        sizes.append(sizes[0] | {"rows": 40})
    for each in sizes:
        inputs = make_inputs(op, each, dtype, "cpu")
        yield inputs, {}
        if op == "paged_attention":
            yield inputs, {"splits": 4}
        if op == "depth_decode":
            frames, places = inputs[5].shape[:2]
            count = torch.zeros(frames, dtype=torch.int64)
            for choice in (Choice(temperature=1.0), Choice(temperature=1.0, top_k=20)):
                yield (*inputs[:6], choice), {"seed": count, "frame": count}
            yield inputs, {"forced": torch.zeros(frames, places, dtype=torch.int64)}


def compile_op(op: str, module: str, dtype: torch.dtype) -> None:
    """The launches of all ``calls``."""

    def launched(function: Any, grid: Any) -> Any:
        def compiled(*arguments: Any, **options: Any) -> None:
            kernel = function.run(*arguments, grid=grid, warmup=True, **options)
            if kernel.asm["cubin"] not in seen:
                print(op, function.__name__, kernel.metadata.shared, stack_of(kernel.asm["cubin"]), flush=True)
            seen.add(kernel.asm["cubin"])

        return compiled

    seen: set[bytes] = set()
    JITFunction.__getitem__ = launched
    call = getattr(importlib.import_module(module), op)
    for inputs, options in calls(op, dtype):
        call(*inputs, **options)


def main(dtype: str, capability: str) -> None:
    launch.interpreted = lambda: True  # so that tensors of a CPU are taken
    triton.runtime.driver.set_active(Elsewhere(int(capability)))
    for known in IMPLEMENTATIONS:
        if known.backend == "triton":
            compile_op(known.op, known.module, torch.float32 if known.op in FLOAT32 else getattr(torch, dtype))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
