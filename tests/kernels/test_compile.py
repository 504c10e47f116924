from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kernels.numba
from kernels.numba.compile import jit

# What a Conformer step gives; after "first", in a process that has compiled another function of the same parts.
CODE = """
import hashlib, sys, torch
from kernels.numba.conformer_step import conformer_step
from kernels.numba.rel_attention import rel_attention
from tests.kernels import test_conformer_step as step, test_rel_attention as attention

if "first" in sys.argv:
    for shape in attention.SHAPES:
        rel_attention(*attention._inputs(*shape))
found = hashlib.sha1()
for count in range(1, 40):
    y = conformer_step(step._weights(5), *step._inputs([*range(count)], 5))
    found.update(y.numpy().tobytes())
print(found.hexdigest())
"""


def test_a_function_compiles_where_no_cache_can_be_written() -> None:
    space: dict[str, Callable[..., Any]] = {}
    exec(compile("def twice(x):\n    return 2 * x\n", "<nowhere>", "exec"), space)
    assert jit(space["twice"])(21.0) == 42.0


def test_bits_do_not_depend_on_what_was_compiled_before(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "NUMBA_CACHE_DIR": str(tmp_path)}

    def bits(*arguments: str) -> str:
        command = [sys.executable, "-c", CODE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=True).stdout

    kept = bits()
    assert bits() == kept
    assert bits("first") == kept


def test_what_compiled_functions_call_is_inlined() -> None:
    seen: list[str] = []
    for module in pkgutil.iter_modules(kernels.numba.__path__):
        for function in vars(importlib.import_module(f"kernels.numba.{module.name}")).values():
            if hasattr(function, "py_func"):
                called = {function.py_func.__globals__.get(name) for name in function.py_func.__code__.co_names}
                for each in called:
                    if hasattr(each, "py_func"):
                        seen.append(each.py_func.__name__)
                        assert each.targetoptions.get("forceinline"), f"{each.py_func.__name__} has to be a part"
    assert {"norm_rows", "attend_ring", "add_linear"} <= set(seen)
