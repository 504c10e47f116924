"""Every Triton kernel goes through Triton's compiler, where there is no GPU too."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from kernels.registry import IMPLEMENTATIONS

SHARED = 227 << 10  # bytes that a program may have on an H100
STACK = 64  # bytes of a thread: the cosine has 32; more are registers spilled into memory, all the time


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the package triton is missing")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_every_kernel_compiles_and_fits(dtype: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.kernels.gpu_compiler", dtype, "90"],
        capture_output=True,
        text=True,
        env={**os.environ, "TRITON_INTERPRET": "0"},
    )
    assert run.returncode == 0, run.stderr[-2_000:]
    lines = [line.split() for line in run.stdout.splitlines()]
    assert {op for op, _, _, _ in lines} == {known.op for known in IMPLEMENTATIONS if known.backend == "triton"}
    kernels = [kernel for _, kernel, _, _ in lines]
    assert "_join" in kernels and kernels.count("_choose") >= 4  # keys in parts; codes likeliest, drawn and forced
    assert all(int(shared) <= SHARED and int(stack) <= STACK for _, _, shared, stack in lines), run.stdout
