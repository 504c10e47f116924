"""Numbers of float16 inside compiled kernels, which know none. Knows bits; no op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _wide(typingctx: Any, x: Any) -> Any:
    """A float32: of the bits of a float16, which are a uint16, or of one that is one already. Exact."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if signature.args[0] == types.float32:
            return args[0]
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(x), generate if x in (types.float32, types.uint16) else None


wide: Callable[[Any], Any] = intrinsic(_wide)  # for compiled code only
