from collections.abc import Callable
from typing import Any

from kernels.numba.compile import jit


def test_a_function_compiles_where_no_cache_can_be_written() -> None:
    space: dict[str, Callable[..., Any]] = {}
    exec(compile("def twice(x):\n    return 2 * x\n", "<nowhere>", "exec"), space)
    assert jit(space["twice"])(21.0) == 42.0
